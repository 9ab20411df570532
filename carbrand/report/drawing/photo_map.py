"""The embedding map: every photo as a point, close to photos with similar vectors."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.node.wording import one_line, shorten
from carbrand.report.results import Results
from carbrand.scores.files.map_file import MappedPhoto

MOST_POINTS = 3000  # more make a page slow and a map black
MAX_DISTANCES = 4_000_000  # computed at once
MOST_SHAPES = 8  # of more brands each gets its name in the middle of its photos instead
LABEL_COLUMNS = 24
LETTER_WIDTH, LINE_HEIGHT = 0.014, 0.026  # of a label, as shares of the map's width


def _star(corners: int, inner: float) -> tuple[tuple[float, float], ...]:
    return _polygon([1.35, 1.35 * inner] * corners)


def _polygon(radii: Sequence[float], turn: float = 0.0) -> tuple[tuple[float, float], ...]:
    """Corners at `radii` from the centre, at equal angles, the first one on top."""
    angles = [2 * math.pi * (index / len(radii) + turn) for index in range(len(radii))]
    return tuple(
        (round(radius * math.sin(angle), 3), round(-radius * math.cos(angle), 3))
        for radius, angle in zip(radii, angles, strict=True)
    )


# Each brand has a shape and a colour: either alone is enough to recognise it. Corners are around
# (0, 0), y points down, areas are about equal; without corners it is a circle of radius 1.
SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    (),
    _polygon([1.25] * 4, turn=1 / 8),  # square
    _polygon([1.45] * 3),  # triangle
    _polygon([1.5, 1.0, 1.5, 1.0]),  # diamond
    _polygon([1.45] * 3, turn=1 / 2),  # triangle, upside down
    _star(5, 0.5),
    _star(4, 0.4),
    _star(3, 0.35),
)


@dataclass(frozen=True)
class MapPoint:
    """One photo; x in 0…1 and y in the same unit, from the top left corner."""

    photo: MappedPhoto
    x: float
    y: float
    shape: int  # which of SHAPES
    predicted: str  # of a misclassified leak-free test photo, else ""


@dataclass(frozen=True)
class BrandLabel:
    """The name of a brand, at the median of its photos."""

    brand: str
    x: float
    y: float


@dataclass(frozen=True)
class PhotoMap:
    """The points to draw: training photos first, misclassified ones last."""

    points: tuple[MapPoint, ...]
    photos: int  # on the map, drawn or not
    height: float  # of the map, where its width is 1
    shapes: tuple[str, ...]  # the brand of each shape; empty where there are too many brands
    labels: tuple[BrandLabel, ...]  # where brands have no shapes
    unlabelled: int  # brands whose name would overlap another one


def photo_map(run: Results) -> PhotoMap:
    """At most MOST_POINTS photos, evenly spaced in the order of their paths."""
    places = sorted(run.map, key=lambda place: place.path)
    wrong = {photo.path: photo.predicted for photo in run.wrong}
    chosen = np.unique(np.linspace(0, len(places) - 1, MOST_POINTS).round().astype(int))
    drawn = [places[index] for index in chosen] if len(places) > MOST_POINTS else places
    scaled, height = _scale([(place.x, place.y) for place in drawn])
    brands = tuple(sorted({place.brand for place in places}))
    shapes = brands if len(brands) <= MOST_SHAPES else ()
    points = [
        MapPoint(place, x, y, shapes.index(place.brand) if shapes else 0, wrong.get(place.path, ""))
        for place, (x, y) in zip(drawn, scaled, strict=True)
    ]
    points.sort(key=lambda it: (bool(it.predicted), it.photo.split != "train", it.photo.path))
    labels = () if shapes else _label(points)
    unlabelled = 0 if shapes else len(brands) - len(labels)
    return PhotoMap(tuple(points), len(places), height, shapes, labels, unlabelled)


def _scale(places: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], float]:
    """The places scaled into a box of width 1, and the height of the box, 0.5 to 1."""
    if not places:
        return [], 0.5
    values = np.array(places, dtype=np.float64)  # (n, 2)
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    height = float(np.clip(span[1] / span[0], 0.5, 1.0)) if span[0] > 0 else 1.0
    scale = min(
        1.0 / span[0] if span[0] > 0 else math.inf, height / span[1] if span[1] > 0 else math.inf
    )
    moved = (values - low - span / 2) * (scale if math.isfinite(scale) else 0.0)
    moved = moved * (1, -1) + (0.5, height / 2)  # a page's y goes down
    return [(round(float(x), 4), round(float(y), 4)) for x, y in moved], round(height, 4)


def _label(points: Sequence[MapPoint]) -> tuple[BrandLabel, ...]:
    """Brands with most photos first; a name that would overlap one before it is left out."""
    of_brand: defaultdict[str, list[MapPoint]] = defaultdict(list)
    for point in points:
        of_brand[point.photo.brand].append(point)
    labels: list[BrandLabel] = []
    for brand, found in sorted(of_brand.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        name = shorten(one_line(brand), LABEL_COLUMNS)
        edge = LETTER_WIDTH * len(name) / 2  # the frame must not cut it off
        label = BrandLabel(
            name,
            round(float(np.clip(np.median([point.x for point in found]), edge, 1 - edge)), 4),
            round(float(np.median([point.y for point in found])), 4),
        )
        if not any(_overlap(label, other) for other in labels):
            labels.append(label)
    return tuple(labels)


def _overlap(a: BrandLabel, b: BrandLabel) -> bool:
    room = LETTER_WIDTH * (len(a.brand) + len(b.brand)) / 2
    return abs(a.x - b.x) < room and abs(a.y - b.y) < LINE_HEIGHT


def nearest_agreement(run: Results) -> tuple[int, int]:
    """How many leak-free test photos have the brand of their nearest training photo on the map, and
    how many leak-free test photos there are.
    """
    counted = {photo.path for photo in run.leak_free}
    train = [place for place in run.map if place.split == "train"]
    test = [place for place in run.map if place.path in counted]
    if not train or not test:
        return 0, 0
    train_xy = np.array([(place.x, place.y) for place in train])
    test_xy = np.array([(place.x, place.y) for place in test])
    # All distances, a block at a time. SciPy's k-d tree is faster for very many photos, but its
    # import costs every run 0.2 s.
    step = max(1, MAX_DISTANCES // len(train))
    agreeing = 0
    for start in range(0, len(test), step):
        block = test_xy[start : start + step, None]  # (step, 1, 2)
        nearest = ((block - train_xy) ** 2).sum(axis=2).argmin(axis=1)
        brands = [train[index].brand for index in nearest]
        agreeing += sum(a.brand == b for a, b in zip(test[start:], brands, strict=False))
    return agreeing, len(test)
