"""CSV files whose cells may hold any file name: commas, quotes, line breaks, invalid UTF-8.

A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break as a formula,
even in quotes (CSV injection). Such a text is escaped with a leading apostrophe, which is removed
when read; a text that already has apostrophes before the sign gets one more. Numbers are not
escaped. Other readers, such as DVC's plots, see a brand `=x` as `'=x`.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

# Full-width signs too, which East Asian spreadsheets treat the same.
_SIGNS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(f"'*[{_SIGNS}]")
_ESCAPED = re.compile(f"'+[{_SIGNS}]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows, with Unix line ends on every platform."""
    table = [[_to_cell(str(text)) for text in row] for row in (header, *rows)]
    # Python 3.11 does not quote a lone carriage return, but its reader splits the row there. macOS
    # has files named `Icon\\r`.
    odd = any("\r" in cell for row in table for cell in row)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(
            file, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
        )
        writer.writerows(table)


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read the column names, and the rows as column name → cell."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file)
        header = reader.fieldnames = [_from_cell(cell) for cell in reader.fieldnames or []]
        # csv.DictReader puts None or a list into rows that are too short or too long.
        return header, [
            {
                name: _from_cell(cell) if isinstance(cell, str) else cell
                for name, cell in row.items()
            }
            for row in reader
        ]


def format_row(cells: Iterable[object]) -> bytes:
    """One row of a table that is written row by row, with its line end.

    Like `write_table`, but quotes for a carriage return are in its row only.
    """
    row, text = [_to_cell(str(cell)) for cell in cells], io.StringIO(newline="")
    odd = any("\r" in cell for cell in row)
    writer = csv.writer(
        text, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
    )
    writer.writerow(row)
    return text.getvalue().encode("utf-8", "surrogateescape")


def read_whole_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows as column name → cell, one after the other, up to one that lacks cells."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        header = [_from_cell(cell) for cell in next(reader)]
        with suppress(csv.Error):  # zeros, which a crash of the machine leaves
            for row in reader:
                if len(row) < len(header):
                    return
                yield dict(zip(header, map(_from_cell, row), strict=False))


def _to_cell(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _from_cell(cell: str) -> str:
    return cell[1:] if _ESCAPED.match(cell) else cell


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a table. Raises KeyError if one of `columns` is missing."""
    header, rows = read_table(path)
    for column in columns:
        if column not in header:
            raise KeyError(f"column {column}")
    return rows


def finite(cell: str) -> float:
    """Parse a finite number. Raises ValueError."""
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"expected a number, got {cell}")
    return number


def parse_bool(cell: str) -> bool:
    """Parse `true` or `false`. Raises ValueError."""
    if cell not in ("true", "false"):
        raise ValueError(f"expected true or false, got {cell}")
    return cell == "true"
