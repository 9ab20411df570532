"""Horizontal bands of a photo, so that a conversion holds copies of one band at a time."""

from __future__ import annotations

# Pixels that are converted at a time.
BAND_PIXELS = 4_000_000

Box = tuple[int, int, int, int]


def bands(size: tuple[int, int]) -> list[Box]:
    """Boxes that cover a photo of that size from top to bottom, BAND_PIXELS each."""
    width, height = size
    rows = max(1, BAND_PIXELS // width)
    return [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
