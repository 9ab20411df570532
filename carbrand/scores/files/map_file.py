"""map.csv: the coordinates of each photo in the embedding map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.files.table import finite, read_rows, write_table

COLUMNS = ("path", "split", "brand", "x", "y")
# For coordinates with a standard deviation of about 1.
_DECIMALS = 3


@dataclass(frozen=True)
class MappedPhoto:
    """A photo and its coordinates."""

    path: str
    split: str
    brand: str
    x: float
    y: float


def write_map(path: Path, photos: Sequence[MappedPhoto]) -> None:
    """Write the photos in their order."""
    rows = [
        (p.path, p.split, p.brand, f"{p.x:.{_DECIMALS}f}", f"{p.y:.{_DECIMALS}f}") for p in photos
    ]
    write_table(path, COLUMNS, rows)


def read_map(path: Path) -> list[MappedPhoto]:
    """Read the file of `write_map`."""
    return [
        MappedPhoto(row["path"], row["split"], row["brand"], finite(row["x"]), finite(row["y"]))
        for row in read_rows(path, COLUMNS)
    ]
