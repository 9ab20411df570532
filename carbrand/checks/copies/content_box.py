"""Where in a picture the photo is: without the bars of a screenshot and what is written in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom
# First line of the photo, and the one after its last.
Span = tuple[int, int]

# Grey levels (of 255) by which a line may stray from its colour: of a photo, and of what was drawn.
_TOLERANCE, _DRAWN_TOLERANCE = 12, 5
# Of a line of a bar so much has the bar's colour; the rest is a clock, a name, a comment.
_PLAIN, _WRITTEN_ON = 0.6, 0.45
# A line of a bar with nothing on it, but for noise.
_EMPTY = 0.98
_EMPTY_EDGE = 0.9
# A photo is no smaller than this share of the picture's side.
_SMALLEST = 0.2
# Plain lines inside of a photo, in shares of the side: so many in a row, and it is still one.
_GAP = 0.03


def content_boxes(grey: Image.Image) -> tuple[Box, ...]:
    """The whole, and what is left without bars, each once.

    There are several ways to see bars, as photos on a plain ground have lines like these too: one
    of them leaves the same of the photo, or all of it, and of its screenshot.
    """
    pixels = np.asarray(grey)
    ways = (_within_bars, _within_empty_bars, _busiest, _between_lines_of_the_edge)
    whole = (0, 0, grey.width, grey.height)
    return tuple(dict.fromkeys((whole, *(_inside(pixels, way) for way in ways))))


def _inside(pixels: np.ndarray, span_of: Callable[[np.ndarray], Span]) -> Box:
    """The box that is left of the rows, and then of their columns."""
    top, bottom = _large(span_of(pixels), pixels)
    columns = np.ascontiguousarray(pixels[top:bottom].T)
    left, right = _large(span_of(columns), columns)
    return left, top, right, bottom


def _large(span: Span, lines: np.ndarray) -> Span:
    return span if span[1] - span[0] >= _SMALLEST * len(lines) else (0, len(lines))


def _within_bars(lines: np.ndarray) -> Span:
    """Without the lines at both ends that have the colour of the outermost."""
    return _bar(lines), len(lines) - _bar(lines[::-1])


def _bar(lines: np.ndarray) -> int:
    """How many lines the bar at the beginning has."""
    if not _begins_plain(lines, _TOLERANCE):
        return 0
    return int(np.argmin(_share_of(lines, lines[0], _TOLERANCE) >= _PLAIN))  # 0: all is a bar


def _begins_plain(lines: np.ndarray, tolerance: int) -> bool:
    return bool(_share_of(lines[:1], lines[0], tolerance)[0] >= _EMPTY_EDGE)


def _within_empty_bars(lines: np.ndarray) -> Span:
    """The same up to the last line that has nothing but the bar's colour."""
    return _empty_bar(lines), len(lines) - _empty_bar(lines[::-1])


def _empty_bar(lines: np.ndarray) -> int:
    bar = lines[: _bar(lines)]
    if not len(bar):
        return 0
    empty = _share_of(bar, lines[0], _DRAWN_TOLERANCE) >= _EMPTY
    return int(np.flatnonzero(empty)[-1]) + 1 if empty.any() else 0


def _busiest(lines: np.ndarray) -> Span:
    """The longest run of lines that are not plain, in whatever colour."""
    return _longest(_share_of(lines, lines, _TOLERANCE) < _PLAIN)


def _between_lines_of_the_edge(lines: np.ndarray) -> Span:
    """The longest run of lines without much of the colour of the outermost."""
    for edge in (lines, lines[::-1]):
        if _begins_plain(edge, _DRAWN_TOLERANCE):
            return _longest(_share_of(lines, edge[0], _DRAWN_TOLERANCE) < _WRITTEN_ON)
    return 0, len(lines)


def _share_of(lines: np.ndarray, coloured: np.ndarray, tolerance: int) -> np.ndarray:
    """The share of each line that has its own median colour, or that of one line, (lines,)."""
    # A stable sort of bytes takes a quarter of the time of a median.
    colour = np.sort(coloured, axis=-1, kind="stable")[..., [coloured.shape[-1] // 2]]
    strays = np.maximum(lines, colour) - np.minimum(lines, colour)
    return (strays <= tolerance).mean(axis=1)


def _longest(chosen: np.ndarray) -> Span:
    """The longest run of chosen lines, over small gaps."""
    places = np.flatnonzero(chosen)
    if not len(places):
        return 0, len(chosen)
    breaks = np.flatnonzero(np.diff(places) > max(2.0, _GAP * len(chosen))) + 1
    run = max(np.split(places, breaks), key=lambda run: run[-1] - run[0])
    return int(run[0]), int(run[-1]) + 1
