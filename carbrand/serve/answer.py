"""From the bytes of a photo to what is said of it: brands, probabilities, heat map."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from carbrand.model.classifier import Classifier, rank_brands
from carbrand.model.heatmap import align_with_photo
from carbrand.photos.photo import UnreadablePhoto, open_photo
from carbrand.report.thumbnail import GLOW, VEIL, png_uri
from carbrand.serve.refusal import Refusal

# Decoding takes 8 bytes a pixel, 16 of a WebP: 400 and 800 MB for each thread. Phones of today
# write 48 megapixels at most unless told otherwise.
MAX_PIXELS = 50_000_000
# Smooth enough for a page; a browser spreads it over the photo.
HEAT_PX = 224

# What the HTTP statuses of PROBLEMS are: no picture that is read, a broken one, one too large.
_STATUS = {"unreadable": 415, "unsupported_format": 415, "truncated": 422, "too_large": 422}


class Answerer:
    """A model, ready to answer; several threads may ask it at once."""

    def __init__(self, model: Path) -> None:
        """Load the model and look at a first photo, which takes longer than all others.

        Raises UserError.
        """
        self._classifier = Classifier(model)
        self._palette, self._opacity = _colours()
        size = (self._classifier.size_px, self._classifier.size_px)
        self._describe(Image.new("RGB", size))

    @property
    def brands(self) -> list[str]:
        """The brands that the model knows."""
        return self._classifier.brands

    def answer(self, data: bytes) -> dict[str, Any]:
        """What `carbrand predict --json` says of a file of these bytes, but for its path; `width`
        and `height` of the upright photo; and `heatmap`, see `_draw`. Raises Refusal.
        """
        try:
            photo = open_photo("The photo", data, MAX_PIXELS)
        except UnreadablePhoto as error:
            message = f"This is not a readable photo: {error.reason}. Send another."
            raise Refusal(_STATUS[error.code], message) from None
        return self._describe(photo)

    def _describe(self, photo: Image.Image) -> dict[str, Any]:
        prediction = self._classifier.predict_photo(photo)
        heat = align_with_photo(prediction.heatmap, *photo.size, self._classifier.resize)
        return {
            **rank_brands(prediction.probabilities, self.brands),
            "width": photo.width,
            "height": photo.height,
            "heatmap": png_uri(self._draw(heat)),
        }

    def _draw(self, heat: np.ndarray) -> bytes:
        """A PNG of HEAT_PX, see-through where there was no evidence: stretched over the photo in
        grey, it gives `thumbnail.heat_overlay`.

        heat: (h, w) in 0…1, over the whole photo.
        """
        smooth = Image.fromarray(heat).resize((HEAT_PX, HEAT_PX), Image.Resampling.BICUBIC)
        warmth = np.clip(np.asarray(smooth), 0.0, 1.0)  # bicubic overshoots
        picture = Image.fromarray(np.rint(warmth * 255).astype(np.uint8))
        picture.putpalette(self._palette)
        file = io.BytesIO()
        picture.save(file, "PNG", transparency=self._opacity)
        return file.getvalue()


def _colours() -> tuple[bytes, bytes]:
    """Red, green and blue of each of 256 warmths, and how opaque each is: those of the report."""
    from matplotlib import colormaps

    warmth = np.linspace(0.0, 1.0, 256)
    colours = np.rint(colormaps["inferno"](warmth)[:, :3] * 255).astype(np.uint8)
    opacity = np.rint((VEIL + (GLOW - VEIL) * warmth) * 255).astype(np.uint8)
    return colours.tobytes(), opacity.tobytes()
