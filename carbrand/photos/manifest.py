"""manifest.csv: one row per file found, with its properties, issues and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from carbrand.node.files.atomic import atomic_file
from carbrand.node.files.table import read_table, write_table

KEPT, EXCLUDED, ERROR = "kept", "excluded", "error"
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Row:
    """One file.

    width, height: of the upright photo; 0 if unreadable. brightness, sharpness: in 0…1.
    sha256: of the bytes. pixel_sha256: of the upright RGB pixels and their size. phash: 64-bit
    perceptual hash. All three in hex, empty if unreadable.
    issues: codes of checks/issues.py, in their order there. reason: why the file is unreadable, or
    what is damaged.
    duplicate_of: the path of the photo that this is a copy of. match: how it was found (`bytes`,
    `pixels` or `hash`). cluster: the path of the first of all copies. suspected_of: the path of a
    photo that this may be a copy of.
    taken: when, in the camera's local time, ISO 8601. camera: its make and model. Both from EXIF.
    series: the name of the series that the user says the photo belongs to.
    correction: what corrections.csv does with it: `brand` (its folder is that of another one),
    `exclude`, `right`, or nothing.
    """

    path: str
    split: str
    brand: str
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    brightness: float = 0.0
    sharpness: float = 0.0
    sha256: str = ""
    pixel_sha256: str = ""
    phash: str = ""
    status: str = KEPT
    issues: tuple[str, ...] = ()
    reason: str = ""
    duplicate_of: str = ""
    match: str = ""
    cluster: str = ""
    suspected_of: str = ""
    taken: str = ""
    camera: str = ""
    series: str = ""
    correction: str = ""

    @property
    def leaked(self) -> bool:
        """Whether it is a test photo with a copy among the training photos."""
        return "leaked" in self.issues

    @property
    def hash_group(self) -> str:
        """An identifier that all copies found by hashes share."""
        return self.cluster or self.path


COLUMNS = tuple(field.name for field in fields(Row))


def write_manifest(path: Path, rows: Sequence[Row]) -> None:
    """Write `rows`, sorted by path."""
    cells = [
        [";".join(value) if isinstance(value, tuple) else value for value in astuple(row)]
        for row in sorted(rows, key=lambda row: row.path)
    ]
    write_table(path, COLUMNS, cells)


def mark_refused(path: Path, reasons: Mapping[str, str], folders: Mapping[str, Path]) -> None:
    """Record files that are refused before a run in the manifest of the previous run.

    reasons: path → reason. folders: split → folder. Does nothing if there is no readable manifest.
    The file is replaced, not modified: it may be a hard link into DVC's cache.
    """
    try:
        rows = {row.path: row for row in read_manifest(path)}
    except (OSError, ValueError, KeyError, TypeError):
        return
    for split, folder in folders.items():
        start = f"{folder.as_posix()}/"
        for file, reason in reasons.items():
            if file.startswith(start):
                brand = file[len(start) :].split("/")[0]
                rows[file] = Row(
                    file, split, brand, status=ERROR, issues=("unreadable",), reason=reason
                )
    with atomic_file(path) as temporary:
        write_manifest(temporary, list(rows.values()))


def read_manifest(path: Path) -> list[Row]:
    """Read the rows, in file order."""
    return [_parse(record) for record in read_table(path)[1]]


def _parse(record: dict[str, Any]) -> Row:
    for name, kind in (
        ("width", int),
        ("height", int),
        ("brightness", float),
        ("sharpness", float),
    ):
        record[name] = kind(record[name])
    record["issues"] = tuple(code for code in record["issues"].split(";") if code)
    return Row(**record)


def kept_training_photos(rows: Sequence[Row]) -> list[Row]:
    """The training photos with status `kept`."""
    return [row for row in rows if row.split == "train" and row.status == KEPT]


def evaluated_test_photos(rows: Sequence[Row]) -> list[Row]:
    """The test photos with status `kept`, and the leaked ones, which are reported separately."""
    return [row for row in rows if row.split == "test" and (row.status == KEPT or row.leaked)]


def suspected_leaks(rows: Sequence[Row]) -> set[str]:
    """The paths of test photos that are suspected copies of training photos (but not leaked)."""
    learned = {row.path for row in rows if row.split == "train"}
    return {
        row.path
        for row in rows
        if row.split == "test" and not row.leaked and row.suspected_of in learned
    }
