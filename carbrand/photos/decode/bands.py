"""Horizontal bands of a photo, so that a conversion needs memory for one band only."""

from __future__ import annotations

# Pixels per band.
BAND_PIXELS = 4_000_000

Box = tuple[int, int, int, int]


def bands(size: tuple[int, int]) -> list[Box]:
    """Boxes of at most BAND_PIXELS (or one row) that cover a photo of that size, top to bottom."""
    width, height = size
    rows = max(1, BAND_PIXELS // width)
    return [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
