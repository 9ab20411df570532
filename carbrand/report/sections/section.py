"""What the sections of the report share: their input, and photos as pictures in the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from carbrand.node.origin import Origin
from carbrand.node.params import knob
from carbrand.report.drawing.thumbnail import heat_overlay, jpeg_uri, thumbnail
from carbrand.report.results import Results
from carbrand.scores.evaluation import PredictedPhoto

BARS = 5  # brands per photo

Context = dict[str, Any]  # the variables of a template


@dataclass(frozen=True)
class PlotParams:
    """The section `plot` of params.yaml: how much is shown, and how large."""

    dpi: int = knob(low=50, high=400)
    photos: int = knob(low=1, high=60)
    mistakes: int = knob(low=0, high=200)
    pairs: int = knob(low=0, high=200)
    suspects: int = knob(low=0, high=200)
    thumbnail_px: int = knob(low=64, high=640)


@dataclass(frozen=True)
class Charts:
    """Figures that the report shows too."""

    loss: str  # SVG, like the next two
    accuracy: str
    reliability: str
    confusion_matrix: bytes  # PNG, for many brands


@dataclass(frozen=True)
class ReportInput:
    """Everything that the report is made from."""

    run: Results
    limits: PlotParams
    charts: Charts
    datasets: str  # the folder of both splits
    plot: Origin  # parameters and versions of the node that makes the report


@dataclass(frozen=True)
class Picture:
    """An <img>."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class ShownPhoto:
    """A test photo with its heat map and its highest probabilities."""

    photo: PredictedPhoto
    picture: Picture
    heat_map: Picture
    bars: Mapping[str, float]
    rest: float  # the probability of the brands without a bar


def show_photo(path: str, size_px: int, alt: str) -> Picture:
    """The photo, its longer side at most `size_px`. Raises UnreadablePhoto."""
    return _picture(thumbnail(path, size_px), alt)


def show_prediction(photo: PredictedPhoto, data: ReportInput, size_px: int) -> ShownPhoto:
    """The photo with what the model predicted. Raises UnreadablePhoto."""
    small = thumbnail(photo.path, size_px)
    heat = heat_overlay(small, data.run.heat_map(photo))
    bars = data.run.most_probable(photo, BARS)
    alt = f"Photo of {photo.actual}"
    if not photo.correct:
        alt += f", predicted as {photo.predicted}"
    return ShownPhoto(
        photo=photo,
        picture=_picture(small, alt),
        heat_map=_picture(heat, f"Heat map: brighter is more evidence for {photo.predicted}"),
        bars=bars,
        rest=max(0.0, sum(photo.probabilities) - sum(bars.values())),
    )


def _picture(image: Image.Image, alt: str) -> Picture:
    return Picture(jpeg_uri(image), image.width, image.height, alt)
