"""CSV files whose cells may hold any file name: commas, quotes, line breaks, broken UTF-8.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula,
also in quotes, and runs it. So such a text is written with an apostrophe before it, as a person
would type it there, and read without; one that has apostrophes before the sign gets one more.
Numbers stay as they are. Other readers, such as DVC's plots, see a brand `=x` as `'=x`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

# Full-width signs too, which spreadsheets of East Asia take for the others.
_SIGNS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(f"'*[{_SIGNS}]")
_ESCAPED = re.compile(f"'+[{_SIGNS}]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows, lines ending in a line feed on every platform."""
    table = [[_to_cell(str(text)) for text in row] for row in (header, *rows)]
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
        header = reader.fieldnames = [_from_cell(cell) for cell in reader.fieldnames or []]
        # A row that is too short or too long has other values than texts.
        return header, [
            {
                name: _from_cell(cell) if isinstance(cell, str) else cell
                for name, cell in row.items()
            }
            for row in reader
        ]


def _to_cell(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _from_cell(cell: str) -> str:
    return cell[1:] if _ESCAPED.match(cell) else cell


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


def parse_bool(cell: str) -> bool:
    """The truth in a cell, `true` or `false`. Raises ValueError where it is neither."""
    if cell not in ("true", "false"):
        raise ValueError(f"expected true or false, got {cell}")
    return cell == "true"
