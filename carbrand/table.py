"""CSV files whose cells may hold any file name: commas, quotes, line breaks, broken UTF-8."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows, lines ending in a line feed on every platform."""
    table = [[str(cell) for cell in row] for row in (header, *rows)]
    # Python 3.11 does not quote a lone carriage return, at which its reader then breaks the row.
    # macOS leaves files named `Icon\\r`.
    odd = any("\r" in cell for row in table for cell in row)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(
            file, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
        )
        writer.writerows(table)


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The names of the columns, and the rows by them."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or []), list(reader)


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table that has at least `columns`. Raises KeyError where one is missing."""
    header, rows = read_table(path)
    for column in columns:
        if column not in header:
            raise KeyError(f"column {column}")
    return rows


def finite(cell: str) -> float:
    """The number in a cell. Raises ValueError where it is none, or infinite."""
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"expected a number, got {cell}")
    return number


def yes_or_no(cell: str) -> bool:
    """The truth in a cell, `true` or `false`. Raises ValueError where it is neither."""
    if cell not in ("true", "false"):
        raise ValueError(f"expected true or false, got {cell}")
    return cell == "true"
