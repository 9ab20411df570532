"""Image alignment: whether one photo is a crop of another (mirrored, brighter, re-encoded).

Two photos with similar vectors may be two cars of one model. They are copies if one, mirrored or
not, can be aligned with a window of the other so that brightness correlates almost everywhere.
Everything works on thumbnails, so a pair takes milliseconds whatever the size of the photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from carbrand.photos.similarity import MIN_CONTRAST, measure_similarity, standardized

THUMBNAIL_PX = 64
# Size of images in the coarse search.
_COARSE_PX = 32
# Scales of the part: at least 0.6 of width and height, 36 % of the area.
_SCALES = tuple(np.arange(1.0, 0.575, -0.05))
_SMALLEST_SCALE = 0.5
# How many windows of the coarse search are refined, and their minimum correlation.
_MAX_WINDOWS = 3
_MIN_COARSE_SIMILARITY = 0.6
# Copies have at least 0.90. Different photos of cars from one side have up to 0.94, so details are
# compared as well (carbrand/photos/similarity.py).
_MIN_SIMILARITY = 0.89
# Step sizes of the refinement, as shares of the whole.
_STEPS = (0.02, 0.01, 0.005)


@dataclass(frozen=True)
class Alignment:
    """The best alignment of two photos.

    similarity: correlation of brightness, -1 to 1. agrees: whether the details correlate too.
    mirrored: whether the part was mirrored.
    """

    similarity: float
    agrees: bool
    mirrored: bool


@dataclass(frozen=True)
class _Window:
    """A window, as shares of the whole, with its correlation in the coarse search."""

    left: float
    top: float
    width: float
    height: float
    mirrored: bool
    similarity: float


def grey_thumbnail(photo: Image.Image) -> np.ndarray:
    """(THUMBNAIL_PX, THUMBNAIL_PX) uint8: the photo in grey, stretched to a square."""
    square = (THUMBNAIL_PX, THUMBNAIL_PX)
    # Area means, which are nearly the same for a smaller or re-encoded copy.
    small = photo.resize(square, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(small.convert("L"))


def align(a: np.ndarray, b: np.ndarray, aspect_a: float, aspect_b: float) -> Alignment:
    """Align one photo with a window of the other, in both directions; returns the best.

    a, b: their grey thumbnails. aspect_…: width / height of the photos. A crop keeps the aspect of
    pixels, which determines the aspect of the window; the refinement relaxes it a little, for
    stretched photos.
    """
    found = [
        best
        for whole, part, ratio in ((a, b, aspect_b / aspect_a), (b, a, aspect_a / aspect_b))
        for best in _best_alignments(whole, part, ratio)
    ]
    return max(found, key=lambda found: found.similarity, default=Alignment(0.0, False, False))


def _best_alignments(whole: np.ndarray, part: np.ndarray, ratio: float) -> Iterator[Alignment]:
    """ratio: width / height of the part, divided by that of the whole."""
    windows = [
        (scale * min(1.0, ratio), scale * min(1.0, 1 / ratio))  # width, height
        for scale in _SCALES
        if scale * min(ratio, 1 / ratio) >= _SMALLEST_SCALE
    ]
    places = sorted(_match_templates(whole, part, windows), key=lambda place: -place.similarity)
    for place in places[:_MAX_WINDOWS]:
        if place.similarity >= _MIN_COARSE_SIMILARITY:
            yield _refine(whole, part, place)


def _match_templates(
    whole: np.ndarray, part: np.ndarray, windows: Sequence[tuple[float, float]]
) -> Iterator[_Window]:
    """Yield the best position of the part at each window size, plain and mirrored.

    Normalized cross-correlation by FFT and integral images (Lewis, "Fast Normalized
    Cross-Correlation", 1995).
    """
    if not windows:
        return
    picture = _downsample(whole)
    sides = [(round(height * _COARSE_PX), round(width * _COARSE_PX)) for width, height in windows]
    templates = np.zeros((2 * len(sides), _COARSE_PX, _COARSE_PX))
    source = Image.fromarray(part)
    for index, (high, wide) in enumerate(sides):
        template = np.asarray(source.resize((wide, high), Image.Resampling.BOX), np.float64)
        template = standardized(template[None])[0]
        templates[2 * index, :high, :wide] = template
        templates[2 * index + 1, :high, :wide] = template[:, ::-1]
    size = (_COARSE_PX, _COARSE_PX)
    spectrum = np.fft.rfft2(picture) * np.conj(np.fft.rfft2(templates))
    products = np.fft.irfft2(spectrum, size)
    for index, (high, wide) in enumerate(sides):
        norms = _window_norms(picture, high, wide)
        for mirrored in (False, True):
            # Only positions at which the window is inside the image: the FFT wraps around.
            fits = products[2 * index + mirrored, : norms.shape[0], : norms.shape[1]]
            similarity = np.where(norms > 0, fits / np.where(norms > 0, norms, 1.0), 0.0)
            top, left = np.unravel_index(similarity.argmax(), similarity.shape)
            yield _Window(
                left / _COARSE_PX,
                top / _COARSE_PX,
                *windows[index],
                mirrored,
                float(similarity[top, left]),
            )


def _downsample(picture: np.ndarray) -> np.ndarray:
    step = THUMBNAIL_PX // _COARSE_PX
    return picture.reshape(_COARSE_PX, step, _COARSE_PX, step).mean(axis=(1, 3))


def _window_norms(picture: np.ndarray, high: int, wide: int) -> np.ndarray:
    """The norm of each window minus its mean; 0 if its contrast is below MIN_CONTRAST."""
    sums, squares = (_window_sums(values, high, wide) for values in (picture, picture**2))
    spread = squares - sums**2 / (high * wide)
    return np.where(spread > high * wide * MIN_CONTRAST**2, np.sqrt(np.maximum(spread, 0)), 0.0)


def _window_sums(values: np.ndarray, high: int, wide: int) -> np.ndarray:
    total = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    total[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    return total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide] + total[:-high, :-wide]


def _refine(whole: np.ndarray, part: np.ndarray, place: _Window) -> Alignment:
    """Coordinate search: move and resize the window as long as its correlation increases."""
    picture = _downsample(part[:, ::-1] if place.mirrored else part)
    template = standardized(picture[None])[0]
    source = Image.fromarray(whole.astype(np.float32), mode="F")
    window = np.array([place.left, place.top, place.width, place.height])
    best = _similarity_at(source, template, window)
    for step in _STEPS:
        improved = True
        while improved:
            improved = False
            for change in _CHANGES:
                moved = window + step * change
                similarity = _similarity_at(source, template, moved)
                if similarity > best + 1e-4:
                    window, best, improved = moved, similarity, True
    seen = _resample(source, window)
    likeness = measure_similarity(seen[None], picture[None])
    agrees = bool(likeness.at_least(_MIN_SIMILARITY)[0])
    return Alignment(float(likeness.overall[0]), agrees, place.mirrored)


# Left, top, width, height: shifts, zooms about the centre, and single edges.
_CHANGES = np.array(
    [
        *((1, 0, 0, 0), (-1, 0, 0, 0), (0, 1, 0, 0), (0, -1, 0, 0)),
        *((-0.5, -0.5, 1, 1), (0.5, 0.5, -1, -1)),
        *((0, 0, 1, 0), (0, 0, -1, 0), (0, 0, 0, 1), (0, 0, 0, -1)),
    ]
)


def _similarity_at(source: Image.Image, template: np.ndarray, window: np.ndarray) -> float:
    """Correlation of the template with the window; -1 if it is out of bounds or too small."""
    left, top, width, height = window
    if min(width, height) < _SMALLEST_SCALE or min(left, top) < -1e-9:
        return -1.0
    if max(left + width, top + height) > 1 + 1e-9:
        return -1.0
    return float((standardized(_resample(source, window)[None])[0] * template).sum())


def _resample(source: Image.Image, window: np.ndarray) -> np.ndarray:
    """Resize a window of the whole to (_COARSE_PX, _COARSE_PX) float32."""
    left, top, width, height = window
    edges = np.clip([left, top, left + width, top + height], 0, 1) * THUMBNAIL_PX
    size = (_COARSE_PX, _COARSE_PX)
    return np.asarray(source.resize(size, Image.Resampling.BOX, box=tuple(edges)))
