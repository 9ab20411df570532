"""From the bytes of a photo to the response: brands, probabilities, heat map."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from carbrand.model.classifier import Classifier, Prediction, describe
from carbrand.model.heatmap import align_with_photo
from carbrand.model.observation import observe
from carbrand.photos.photo import UnreadablePhoto, open_photo
from carbrand.report.drawing.thumbnail import GLOW, VEIL, png_uri
from carbrand.serve.photo_log import PhotoLog, now
from carbrand.serve.refusal import Refusal

# Decoding takes 8 bytes a pixel, 16 for WebP: 400 and 800 MB per thread. Phones write at most 48
# megapixels by default.
MAX_PIXELS = 50_000_000
# Large enough to look smooth when a browser stretches it over the photo.
HEAT_PX = 224

# HTTP statuses of the codes of UnreadablePhoto.
_STATUS = {"unreadable": 415, "unsupported_format": 415, "truncated": 422, "too_large": 422}


class Responder:
    """A model that responds to photos. Thread-safe."""

    def __init__(self, model: Path, log: PhotoLog | None = None) -> None:
        """Load the model and predict a first photo, which is the slowest. Raises UserError.

        log: where photos that got a response are logged.
        """
        self._classifier = Classifier(model, heatmaps=True)
        self._log = log
        self._palette, self._opacity = _colours()
        size = (self._classifier.size_px, self._classifier.size_px)
        photo = Image.new("RGB", size)
        self._describe(photo, self._classifier.predict_photo(photo))

    @property
    def brands(self) -> list[str]:
        """The brands of the model."""
        return self._classifier.brands

    @property
    def tells_unknown(self) -> bool:
        """Whether the model can say that a photo shows none of them."""
        return self._classifier.unknown_rule is not None

    @property
    def level(self) -> float:
        """The promised chance that a set holds the right brand; 0 where there are no sets."""
        rule = self._classifier.set_rule
        return rule.level if rule else 0.0

    def respond(self, data: bytes, heatmap: bool = True) -> dict[str, Any]:
        """The record of `carbrand predict --json` without the path, plus `width` and `height` of
        the upright photo, and `heatmap`, a data URI of `_draw`, if it is wanted. Raises Refusal.
        """
        try:
            photo = open_photo("The photo", data, MAX_PIXELS)
        except UnreadablePhoto as error:
            message = f"This is not a readable photo: {error.reason}. Send another."
            raise Refusal(_STATUS[error.code], message) from None
        prediction = self._classifier.predict_photo(photo)
        if self._log:
            self._log.add(observe(now(), photo, prediction, self.brands))
        return self._describe(photo, prediction, heatmap)

    def _describe(
        self, photo: Image.Image, prediction: Prediction, heatmap: bool = True
    ) -> dict[str, Any]:
        record = describe(prediction, self.brands)
        record |= {"width": photo.width, "height": photo.height}
        if heatmap:
            heat = align_with_photo(prediction.heatmap, *photo.size, self._classifier.resize)
            record["heatmap"] = png_uri(self._draw(heat))
        return record

    def _draw(self, heat: np.ndarray) -> bytes:
        """A PNG of HEAT_PX with transparency: stretched over the photo in grey, it gives
        `thumbnail.heat_overlay`. heat: (h, w) in 0…1, over the whole photo.
        """
        smooth = Image.fromarray(heat).resize((HEAT_PX, HEAT_PX), Image.Resampling.BICUBIC)
        values = np.clip(np.asarray(smooth), 0.0, 1.0)  # bicubic overshoots
        picture = Image.fromarray(np.rint(values * 255).astype(np.uint8))
        picture.putpalette(self._palette)
        file = io.BytesIO()
        # Half the time of the usual level, for 10 % more bytes; Pillow keeps other threads waiting.
        picture.save(file, "PNG", transparency=self._opacity, compress_level=1)
        return file.getvalue()


def _colours() -> tuple[bytes, bytes]:
    """The RGB palette and the opacities of 256 heat values, as in the report."""
    from matplotlib import colormaps

    values = np.linspace(0.0, 1.0, 256)
    colours = np.rint(colormaps["inferno"](values)[:, :3] * 255).astype(np.uint8)
    opacity = np.rint((VEIL + (GLOW - VEIL) * values) * 255).astype(np.uint8)
    return colours.tobytes(), opacity.tobytes()
