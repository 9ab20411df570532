"""What the sections of the report share: their input, and photos as pictures in the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from carbrand.node.origin import Origin
from carbrand.report.drawing.thumbnail import heat_overlay, jpeg_uri, thumbnail
from carbrand.report.results import JudgedPhoto, Results

BARS = 5  # brands per photo

Context = dict[str, Any]  # the variables of a template


@dataclass(frozen=True)
class ReportLimits:
    """How many photos the report shows, and how large; see `plot` in params.yaml."""

    photos: int
    mistakes: int
    pairs: int
    suspects: int
    thumbnail_px: int


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
    limits: ReportLimits
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

    photo: JudgedPhoto
    picture: Picture
    heat_map: Picture
    bars: Mapping[str, float]
    rest: float  # the probability of the brands without a bar


def show_photo(path: str, size_px: int, alt: str) -> Picture:
    """The photo, its longer side at most `size_px`. Raises UnreadablePhoto."""
    return _picture(thumbnail(path, size_px), alt)


def show_prediction(photo: JudgedPhoto, data: ReportInput, size_px: int) -> ShownPhoto:
    """The photo with what the model predicted. Raises UnreadablePhoto."""
    small = thumbnail(photo.path, size_px)
    heat = heat_overlay(small, data.run.heat_maps[photo.row])
    bars = {brand: photo.probabilities[brand] for brand in photo.likeliest(BARS)}
    alt = f"Photo of {photo.actual}"
    if not photo.right:
        alt += f", predicted as {photo.predicted}"
    return ShownPhoto(
        photo=photo,
        picture=_picture(small, alt),
        heat_map=_picture(heat, f"Heat map: brighter is more evidence for {photo.predicted}"),
        bars=bars,
        rest=max(0.0, sum(photo.probabilities.values()) - sum(bars.values())),
    )


def _picture(image: Image.Image, alt: str) -> Picture:
    return Picture(jpeg_uri(image), image.width, image.height, alt)
