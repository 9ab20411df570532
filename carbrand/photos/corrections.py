"""Datasets/corrections.csv: what a person knows better than the folder that a photo lies in.

Columns `path, brand, note`. `brand` is that of the photo, or `exclude` (the photo is left out) or
`right` (the folder is right, whatever a model says); the note is for people.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.table import read_table
from carbrand.node.wording import one_line
from carbrand.photos.folders.files import FoundFile

COLUMNS = ("path", "brand", "note")
HEADER = f"{','.join(COLUMNS)}\n"
RIGHT, EXCLUDE = "right", "exclude"
# Of a row of the manifest whose brand is not that of its folder.
BRAND = "brand"
KINDS = (BRAND, EXCLUDE, RIGHT)


def read_corrections(path: Path) -> dict[str, str]:
    """Path of a photo → what the file has under `brand`. Raises UserError, a line per problem.

    Empty if there is no file, or nothing in it.
    """
    if not path.exists():
        return {}
    try:
        header, rows = read_table(path)
    except csv.Error as error:
        raise UserError(f"{path} is no table ({error}). Save it as CSV with commas.") from None
    header = [name.removeprefix("\ufeff").strip() for name in header]  # spreadsheets write a mark
    if header and header not in (list(COLUMNS), list(COLUMNS[:2])):
        raise UserError(
            f"{path} begins with {one_line(','.join(header))!r}, expected "
            f"{HEADER.strip()!r}. Correct its first line, and separate cells by commas."
        )
    found: dict[str, str] = {}
    problems = []
    for number, row in enumerate(rows, start=1):
        cells = [cell or "" for cell in row.values()]
        place = f"{path}, row {number} below the header"
        if len(cells) > len(header) or not all(map(str.strip, cells[:2])):
            problems.append(
                f"{place}, is not `path,brand,note`. Complete it, or quote a text with commas."
            )
            continue
        name, brand = (cell.strip() for cell in cells[:2])
        if found.setdefault(name, brand) != brand:
            problems.append(f"{place}, says another brand of {one_line(name)}. Delete one of them.")
    if problems:
        raise UserError(*problems)
    return found


def confirmed_photos(corrections: Mapping[str, str]) -> set[str]:
    """The photos whose brand a person has looked at, so that no model need doubt it."""
    return {path for path, brand in corrections.items() if brand != EXCLUDE}


def correct_brands(
    files: Sequence[FoundFile],
    brands: Collection[str],
    corrections: Mapping[str, str],
    source: Path,
) -> tuple[list[FoundFile], dict[str, str]]:
    """The files with their corrected brands, and path → kind of each correction, of KINDS.

    brands: those that have a folder. Raises UserError for a photo or brand that does not exist.
    """
    photos = {
        file.path: file for file in files if file.has_photo_suffix or file.has_unsupported_suffix
    }
    kinds: dict[str, str] = {}
    corrected: dict[str, FoundFile] = {}
    problems = []
    for path, brand in corrections.items():
        if path not in photos:
            problems.append(
                f"{source}: there is no photo {one_line(path)}. Give its path as "
                f"{one_line(files[0].path)} is one, or delete the row."
            )
        elif brand in brands:  # also one that is called `right`
            kinds[path] = RIGHT if brand == photos[path].brand else BRAND
            corrected[path] = replace(photos[path], brand=brand)
        elif brand in (RIGHT, EXCLUDE):
            kinds[path] = brand
        else:
            problems.append(
                f"{source}: {one_line(path)} cannot be of {one_line(brand)!r}, expected "
                f"{', '.join(map(one_line, sorted(brands)))}, {RIGHT} or {EXCLUDE}. Correct it."
            )
    if problems:
        raise UserError(*problems)
    return [corrected.get(file.path, file) for file in files], kinds


def lines_to_paste(suggestions: Iterable[tuple[str, str]]) -> str:
    """Rows of the file without a note, for pairs of path and brand."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows((*pair, "") for pair in suggestions)
    return text.getvalue()
