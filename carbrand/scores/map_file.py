"""map.csv: where each photo lies in two dimensions of the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.table import finite, read_rows, write_table

COLUMNS = ("path", "split", "brand", "x", "y")
# Of coordinates whose spread is about 1.
_DECIMALS = 3


@dataclass(frozen=True)
class MappedPhoto:
    """A photo's place."""

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
    """What `write_map` wrote."""
    return [
        MappedPhoto(row["path"], row["split"], row["brand"], finite(row["x"]), finite(row["y"]))
        for row in read_rows(path, COLUMNS)
    ]
