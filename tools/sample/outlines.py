"""Outlines as polygons: makers' emblems, letters for number plates, and rounded corners.

A contour is an (n, 2) float array of points, x to the right and y up; an outline is a list of
contours, filled by the nonzero rule as in SVG.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
from fontTools.pens.basePen import BasePen
from fontTools.svgLib.path import parse_path
from fontTools.ttLib import TTFont

from carbrand.node.errors import UserError

Outline = list[np.ndarray]
# Pieces that a curve of an emblem or a letter is cut into; at 320 pixels nobody sees the corners.
CURVE_PIECES = 6
# Of DejaVu Sans, as a share of the em.
CAPITAL_HEIGHT = 0.729


class _FlatteningPen(BasePen):  # type: ignore[misc]  # fontTools has no types
    """Collects contours, curves cut into straight pieces."""

    def __init__(self, glyphs: Any = None) -> None:
        super().__init__(glyphs)
        self.contours: list[list[tuple[float, float]]] = []

    def _moveTo(self, pt: tuple[float, float]) -> None:
        self.contours.append([pt])

    def _lineTo(self, pt: tuple[float, float]) -> None:
        self.contours[-1].append(pt)

    def _curveToOne(
        self, pt1: tuple[float, float], pt2: tuple[float, float], pt3: tuple[float, float]
    ) -> None:
        t = np.linspace(0, 1, CURVE_PIECES + 1)[1:, None]
        start, one, two, end = map(np.array, (self.contours[-1][-1], pt1, pt2, pt3))
        s = 1 - t
        curve = s**3 * start + 3 * s**2 * t * one + 3 * s * t**2 * two + t**3 * end
        self.contours[-1].extend(map(tuple, curve))

    def outline(self) -> Outline:
        return [np.array(contour) for contour in self.contours if len(contour) > 2]


@functools.cache
def emblem(brand: str) -> tuple[Outline, tuple[float, float, float]]:
    """The brand's emblem, its larger side one unit long and centred, and its colour (RGB, 0…1).

    Raises UserError when Simple Icons does not know the brand.
    """
    # Imported late: the icons of 2,400 makers of anything are 4.6 MB of source.
    from simpleicons.all import icons

    if brand not in icons:
        close = difflib.get_close_matches(brand.lower(), icons, n=3, cutoff=0.5)
        nearest = f" Did you mean {' or '.join(f'`{name}`' for name in close)}?" if close else ""
        raise UserError(
            f"Simple Icons has no emblem of the brand {brand!r}, so it cannot be drawn.{nearest} "
            "Names are written as in https://simpleicons.org, in small letters."
        )
    icon = icons[brand]
    pen = _FlatteningPen()
    parse_path(re.findall(r'<path\s+d="([^"]*)', icon.svg)[0], pen)
    contours = [contour * (1, -1) for contour in pen.outline()]  # SVG's y points down
    points = np.concatenate(contours)
    low, high = points.min(axis=0), points.max(axis=0)
    colour = tuple(int(icon.hex[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return [(c - (low + high) / 2) / (high - low).max() for c in contours], colour  # type: ignore[return-value]


@functools.cache
def _font() -> TTFont:
    """DejaVu Sans Bold as matplotlib ships it: the same on every machine, unlike system fonts."""
    # Found without importing matplotlib, which takes half a second.
    package = importlib.util.find_spec("matplotlib")
    if package is None or package.origin is None:
        raise UserError("matplotlib is not installed. Run `make setup`.")
    folder = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
    return TTFont(folder / "DejaVuSans-Bold.ttf")


def text(letters: str) -> Outline:
    """The letters on one line, centred, capitals one unit high."""
    glyphs, names = _font().getGlyphSet(), _font().getBestCmap()
    contours, x = [], 0.0
    for letter in letters:
        pen = _FlatteningPen(glyphs)
        glyph = glyphs[names[ord(letter)]]
        glyph.draw(pen)
        contours += [contour + np.array([x, 0]) for contour in pen.outline()]
        x += glyph.width
    capital = CAPITAL_HEIGHT * _font()["head"].unitsPerEm
    return [(contour - (x / 2, capital / 2)) / capital for contour in contours]


def rounded(corners: np.ndarray, radius: float, pieces: int = 5) -> np.ndarray:
    """The closed polygon with its corners cut to curves that begin `radius` before each corner."""
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    starts = corners + _step_towards(corners, before, radius)
    ends = corners + _step_towards(corners, after, radius)
    t = np.linspace(0, 1, pieces)[None, :, None]
    curves = (
        (1 - t) ** 2 * starts[:, None] + 2 * (1 - t) * t * corners[:, None] + t**2 * ends[:, None]
    )
    return curves.reshape(-1, 2)


def _step_towards(points: np.ndarray, others: np.ndarray, length: float) -> np.ndarray:
    """Steps from each point towards its partner, never past the middle between them."""
    way = others - points
    distance = np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    return way * np.minimum(length / distance, 0.5)


def dense(contour: np.ndarray, step: float) -> np.ndarray:
    """The closed contour with points at most `step` apart, to be bent over a surface."""
    following = np.roll(contour, -1, axis=0)
    pieces = [
        a + (b - a) * np.arange(count)[:, None] / count
        for a, b in zip(contour, following, strict=True)
        for count in [max(1, int(np.ceil(np.linalg.norm(b - a) / step)))]
    ]
    return np.concatenate(pieces)


def ribbon(line: np.ndarray, width: float) -> np.ndarray:
    """A closed polygon: the open line (n, 2) drawn `width` thick."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) * width / 2
    return np.concatenate([line + normal, (line - normal)[::-1]])
