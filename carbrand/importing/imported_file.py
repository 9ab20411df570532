"""Datasets/imported.csv: what `carbrand import` put where, so that it can be done again.

It is written before the photos: after a kill, the next import brings those that are missing.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path, PurePosixPath

from carbrand.node.errors import UserError
from carbrand.node.files.atomic import atomic_file
from carbrand.node.files.table import read_rows, write_table
from carbrand.node.progress import track
from carbrand.node.wording import one_line
from carbrand.photos.folders.files import FoundFile
from carbrand.photos.manifest import SPLITS
from carbrand.photos.photo import read_file


@dataclass(frozen=True)
class Imported:
    """A photo. path: in Datasets, or "" before it is known. source: where it came from.

    split: or "" before it has one. group: of the photos that stay together, or "" if alone.
    """

    path: str
    source: str
    sha256: str
    split: str
    brand: str
    group: str


COLUMNS = tuple(field.name for field in fields(Imported))


def read_imported(file: Path) -> list[Imported]:
    """The rows; none if there is no file. Raises UserError."""
    try:
        records = read_rows(file, COLUMNS) if file.exists() else []
        rows = [Imported(*(record[name] or "" for name in COLUMNS)) for record in records]
    except (KeyError, ValueError, csv.Error) as error:
        raise UserError(f"{file} is damaged ({error}). Get it back from Git.") from None
    for row in rows:
        parts, folder = PurePosixPath(row.path).parts, (*file.parent.parts, row.split, row.brand)
        if row.split not in SPLITS or ".." in parts or parts[: len(folder)] != folder:
            raise UserError(f"{file}: {one_line(row.path)!r} is not where its row says. Mend it.")
    return rows


def import_files(
    new: Sequence[tuple[FoundFile, Imported]], rows: Sequence[Imported], table: Path, link: bool
) -> None:
    """Write `rows` to imported.csv, then each new photo, whole and never over another file.

    link: make hard links, not copies. Raises UserError.
    """
    table.parent.mkdir(exist_ok=True)
    with atomic_file(table) as temporary:
        write_table(temporary, COLUMNS, sorted(map(astuple, rows)))
    for file, row in track(new, "Importing photos", len(new)):
        target, data = Path(row.path), read_file(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target) or hashlib.sha256(data).hexdigest() != row.sha256:
            raise UserError(f"{file.path} or {target} changed in the meantime. Import it again.")
        with atomic_file(target) as temporary:
            temporary.unlink(missing_ok=True)
            if link:
                _link(Path(file.path).resolve(), temporary)
            else:
                temporary.write_bytes(data)


def _link(file: Path, target: Path) -> None:
    try:
        target.hardlink_to(file)
    except OSError as error:
        raise UserError(
            f"{file} cannot be linked into {target.parent} ({error.strerror}). Import it again "
            f"without --link."
        ) from None
