"""Series that the user names: photos of one scene, by Datasets/groups.csv or by file names.

groups.csv has the columns `path` (a photo or a folder) and `group`. A pattern is a regular
expression on file names: photos of one brand with the same text in its first group, or in the whole
match where it has none, are a series.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from carbrand.node.errors import UserError
from carbrand.node.files.table import read_table
from carbrand.node.wording import one_line
from carbrand.photos.manifest import Row

COLUMNS = ("path", "group")
HEADER = f"{','.join(COLUMNS)}\n"


def name_series(rows: Sequence[Row], groups: Path, pattern: str) -> list[Row]:
    """The rows with the series that the user names. Raises UserError.

    groups: the file, which need not exist; it goes before the pattern. Its paths are those of the
    manifest, or relative to its own folder.
    """
    named = _read_groups(groups, rows)
    expression = _compile(pattern)
    return [replace(row, series=_series_of(row, named, expression)) for row in rows]


def _series_of(row: Row, named: dict[str, str], expression: re.Pattern[str] | None) -> str:
    path = PurePosixPath(row.path)
    for place in (row.path, *map(str, path.parents)):
        if place in named:
            return named[place]
    match = expression.search(path.name) if expression else None
    if not match:
        return ""
    text = match[1] if match.re.groups else match[0]
    return f"{row.brand}/{text}" if text else ""


def _compile(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UserError(
            f"validate.series_pattern: {pattern!r} is no regular expression ({error}). Mend it, or "
            f'set it to "".'
        ) from None


def _read_groups(file: Path, rows: Sequence[Row]) -> dict[str, str]:
    """Path → group. Raises UserError with a line for each row that means nothing."""
    if not file.exists():
        return {}
    try:
        columns, records = read_table(file)
    except UnicodeError:
        raise UserError(f"{file} is no text in UTF-8. Save it as CSV in UTF-8.") from None
    if columns[:2] != list(COLUMNS):
        raise UserError(
            f"{file}: its first line must be `path,group`, not `{','.join(columns)}`. Mend it."
        )
    known = {row.path for row in rows}
    known |= {str(folder) for path in known for folder in PurePosixPath(path).parents}
    named: dict[str, str] = {}
    problems = []
    for line, record in enumerate(records, 2):
        path, group = (record[column] or "" for column in COLUMNS)
        place = PurePosixPath(path.strip().rstrip("/"))
        found = [
            name for name in (place.as_posix(), (file.parent / place).as_posix()) if name in known
        ]
        if not group:
            problems.append(f"{file}, line {line}: it names no group. Add one, or remove the line.")
        elif not path or not found:
            near = get_close_matches(place.as_posix(), known, 1)
            meant = f" Did you mean {one_line(near[0])}?" if near else ""
            problems.append(
                f"{file}, line {line}: there is no photo or folder {one_line(path)!r}.{meant} "
                f"Mend or remove the line."
            )
        elif named.setdefault(found[-1], group) != group:
            problems.append(f"{file}, line {line}: {one_line(path)} has two groups. Remove one.")
    if problems:
        raise UserError(*problems)
    return named
