"""The model as Python programs use it: photos in, results with names out.

Begin with `carbrand.load`. The digits are those of `carbrand predict --json`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image

from carbrand.model.classifier import Classifier, Prediction, rank_brands
from carbrand.model.given_photos import Photo, open_given, path_of, separate
from carbrand.model.heatmap import align_with_photo
from carbrand.node.errors import UserError
from carbrand.photos.photo import UnreadablePhoto


@dataclass(frozen=True)
class Result:
    """What the model makes of one photo.

    path: as given; empty for what is no path. brand: the most probable one, with its confidence.
    probabilities: of every brand, the most probable first, to 6 decimals. unknown: whether the
    photo looks like none of the brands, with an unknown_score above 1 (None: the model has no such
    rule). brand_set: the brands that hold the right one with the promised chance (empty: no such
    rule). heatmap: (h, w) float32 in 0…1, over the whole photo, the evidence for the brand; None
    unless it was asked for.

    error: why the photo cannot be read; then there is no brand, and the rest is empty.
    """

    path: str
    brand: str = ""
    confidence: float = 0.0
    probabilities: dict[str, float] = field(default_factory=dict)
    unknown: bool = False
    unknown_score: float | None = None
    brand_set: tuple[str, ...] = ()
    heatmap: np.ndarray | None = field(default=None, repr=False, compare=False)
    error: str = ""


class Model:
    """A loaded model. brands: their names, in alphabetical order. Thread-safe."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Load the file. Raises UserError unless this project wrote it."""
        self.path = Path(path)
        self._written_ns = self.path.stat().st_mtime_ns if self.path.exists() else 0
        self._plain = Classifier(self.path)
        self.brands: tuple[str, ...] = tuple(self._plain.brands)

    def __repr__(self) -> str:
        """As `Model(model.h5, 3 brands)`."""
        return f"Model({self.path}, {len(self.brands)} brands)"

    # A text is iterable too; an array may be one photo or several.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, photos: str | os.PathLike[str] | bytes | Image.Image, *, heatmaps: bool = ...
    ) -> Result: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, photos: np.ndarray, *, heatmaps: bool = ...
    ) -> Result | list[Result]: ...
    @overload
    def predict(self, photos: Iterable[Photo], *, heatmaps: bool = ...) -> list[Result]: ...
    def predict(
        self, photos: Photo | Iterable[Photo], *, heatmaps: bool = False
    ) -> Result | list[Result]:
        """The result for one photo, or a list of results for several.

        A photo is a path, the bytes of a file, a Pillow image of any mode, or an array (h, w),
        (h, w, 1), (h, w, 3) or (h, w, 4): uint8, uint16, or floats in 0…1 or 0…255. Several are
        any iterable of these, or an array (n, h, w, channels).

        A single photo that cannot be read raises UnreadablePhoto; one of several has an `error`.
        What is no photo at all raises TypeError or ValueError.
        """
        each, is_one = separate(photos)
        results = list(self.predict_each(each, heatmaps=heatmaps))
        if not is_one:
            return results
        if results[0].error:
            raise UnreadablePhoto(results[0].path or "The photo", results[0].error)
        return results[0]

    def predict_each(
        self, photos: Photo | Iterable[Photo], *, heatmaps: bool = False
    ) -> Iterator[Result]:
        """The results of any number of photos, one after the other, at flat memory."""
        classifier = self._with_heatmaps if heatmaps else self._plain
        for photo, outcome in classifier.predict_each(photos):
            if isinstance(outcome, Prediction):
                yield self._to_result(photo, outcome)
            else:
                yield Result(path_of(photo), error=outcome.reason)

    @cached_property
    def _with_heatmaps(self) -> Classifier:
        if self.path.stat().st_mtime_ns != self._written_ns:
            raise UserError(f"{self.path} has changed since it was loaded. Load it again.")
        return Classifier(self.path, heatmaps=True)

    def _to_result(self, photo: Photo, prediction: Prediction) -> Result:
        heat = None
        if prediction.heatmap.size:
            size = open_given(photo).size
            heat = align_with_photo(prediction.heatmap, *size, self._plain.resize)
        return Result(
            path=path_of(photo),
            **rank_brands(prediction.probabilities, self.brands),
            unknown=prediction.unknown,
            unknown_score=prediction.unknown_score,
            brand_set=prediction.brand_set,
            heatmap=heat,
        )
