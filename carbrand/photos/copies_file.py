"""copies.csv: copies that were found by their vectors, not by hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.files.table import finite, parse_bool, read_rows, write_table

COLUMNS = ("path", "copy_of", "issue", "similarity", "mirrored")
_DECIMALS = 3


@dataclass(frozen=True)
class Copy:
    """`path` is a copy of `copy_of` or a part of it. similarity: correlation when aligned."""

    path: str
    copy_of: str
    issue: str
    similarity: float
    mirrored: bool


def write_copies(path: Path, copies: Sequence[Copy]) -> None:
    """Write `copies`, sorted by `path` and `copy_of`."""
    rows = [
        (
            copy.path,
            copy.copy_of,
            copy.issue,
            f"{copy.similarity:.{_DECIMALS}f}",
            str(copy.mirrored).lower(),
        )
        for copy in sorted(copies, key=lambda copy: (copy.path, copy.copy_of))
    ]
    write_table(path, COLUMNS, rows)


def read_copies(path: Path) -> list[Copy]:
    """Read the file that `write_copies` wrote."""
    return [
        Copy(
            row["path"],
            row["copy_of"],
            row["issue"],
            finite(row["similarity"]),
            parse_bool(row["mirrored"]),
        )
        for row in read_rows(path, COLUMNS)
    ]
