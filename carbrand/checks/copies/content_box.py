"""Finds the photo inside a screenshot: the image without bars and the text in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom
# First line of the photo, and the line after its last.
Span = tuple[int, int]

# Grey levels (0…255) by which a pixel may differ from the colour of its line: photos, drawn bars.
_TOLERANCE, _DRAWN_TOLERANCE = 12, 5
# Minimum share of a line that has the bar's colour; the rest is text.
_PLAIN, _WRITTEN_ON = 0.6, 0.45
# The same for a line of a bar without text.
_EMPTY = 0.98
_EMPTY_EDGE = 0.9
# Minimum size of the photo, as a share of the image.
_SMALLEST = 0.2
# Maximum run of plain lines inside a photo, as a share of the side.
_GAP = 0.03


def content_boxes(grey: Image.Image) -> tuple[Box, ...]:
    """The whole image and the boxes without bars, without repetitions.

    There are several methods, because photos on a plain background have lines like bars too: at
    least one of them finds the same box in the photo and in its screenshot.
    """
    pixels = np.asarray(grey)
    methods = (_within_bars, _within_empty_bars, _busiest, _between_lines_of_the_edge)
    whole = (0, 0, grey.width, grey.height)
    return tuple(dict.fromkeys((whole, *(_inside(pixels, method) for method in methods))))


def _inside(pixels: np.ndarray, span_of: Callable[[np.ndarray], Span]) -> Box:
    """The box from the span of the rows, and then the span of their columns."""
    top, bottom = _large(span_of(pixels), pixels)
    columns = np.ascontiguousarray(pixels[top:bottom].T)
    left, right = _large(span_of(columns), columns)
    return left, top, right, bottom


def _large(span: Span, lines: np.ndarray) -> Span:
    return span if span[1] - span[0] >= _SMALLEST * len(lines) else (0, len(lines))


def _within_bars(lines: np.ndarray) -> Span:
    """Without the lines at both ends that have the colour of the outermost line."""
    return _bar(lines), len(lines) - _bar(lines[::-1])


def _bar(lines: np.ndarray) -> int:
    """The number of lines of the bar at the beginning."""
    if not _begins_plain(lines, _TOLERANCE):
        return 0
    return int(np.argmin(_share_of(lines, lines[0], _TOLERANCE) >= _PLAIN))  # 0: all is a bar


def _begins_plain(lines: np.ndarray, tolerance: int) -> bool:
    return bool(_share_of(lines[:1], lines[0], tolerance)[0] >= _EMPTY_EDGE)


def _within_empty_bars(lines: np.ndarray) -> Span:
    """The same, but a bar ends with its last line without text."""
    return _empty_bar(lines), len(lines) - _empty_bar(lines[::-1])


def _empty_bar(lines: np.ndarray) -> int:
    bar = lines[: _bar(lines)]
    if not len(bar):
        return 0
    empty = _share_of(bar, lines[0], _DRAWN_TOLERANCE) >= _EMPTY
    return int(np.flatnonzero(empty)[-1]) + 1 if empty.any() else 0


def _busiest(lines: np.ndarray) -> Span:
    """The longest run of lines that are not plain."""
    return _longest(_share_of(lines, lines, _TOLERANCE) < _PLAIN)


def _between_lines_of_the_edge(lines: np.ndarray) -> Span:
    """The longest run of lines with little of the outermost line's colour."""
    for edge in (lines, lines[::-1]):
        if _begins_plain(edge, _DRAWN_TOLERANCE):
            return _longest(_share_of(lines, edge[0], _DRAWN_TOLERANCE) < _WRITTEN_ON)
    return 0, len(lines)


def _share_of(lines: np.ndarray, coloured: np.ndarray, tolerance: int) -> np.ndarray:
    """(lines,): the share of each line that has the median colour of `coloured` (lines, or one)."""
    # A stable sort of bytes is four times as fast as a median.
    colour = np.sort(coloured, axis=-1, kind="stable")[..., [coloured.shape[-1] // 2]]
    strays = np.maximum(lines, colour) - np.minimum(lines, colour)
    return (strays <= tolerance).mean(axis=1)


def _longest(chosen: np.ndarray) -> Span:
    """The longest run of chosen lines, ignoring small gaps."""
    places = np.flatnonzero(chosen)
    if not len(places):
        return 0, len(chosen)
    breaks = np.flatnonzero(np.diff(places) > max(2.0, _GAP * len(chosen))) + 1
    run = max(np.split(places, breaks), key=lambda run: run[-1] - run[0])
    return int(run[0]), int(run[-1]) + 1
