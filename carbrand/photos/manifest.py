"""The manifest: one row per file found, what it is, whether it is used, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from carbrand.node.atomic import atomic_file
from carbrand.node.table import read_table, write_table

KEPT, EXCLUDED, ERROR = "kept", "excluded", "error"
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Row:
    """One file. Width and height are those of the upright photo; 0 where nothing could be read.

    `brightness` and `sharpness` are in 0…1. `sha256` is that of the bytes, `pixel_sha256` that of
    the upright RGB pixels and their size, `phash` a 64-bit perceptual hash; all in hex, empty where
    nothing could be read. `issues` are codes of checks/issues.py, in a fixed order; `reason` says
    in words why a file cannot be read, or what is damaged in it.

    Of copies, `duplicate_of` is the path of the photo that this one is a copy of, `match` how that
    shows (`bytes`, `pixels` or `hash`), `cluster` the path of the first of all that show the same.
    `suspected_of` is the path of a photo that this one may be a copy of.
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

    @property
    def leaked(self) -> bool:
        """Whether this is a test photo that the model has seen in training."""
        return "leaked" in self.issues

    @property
    def hash_group(self) -> str:
        """The same for all photos that hashes show to be copies of one another."""
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
    """Say of files that are refused before a run, in the manifest of the run before, why they are.

    reasons: by path. folders: of each split. Where there is no manifest that can be read, nothing
    happens. The file is replaced, never written into: it may be one with that in DVC's cache.
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
    """The rows of the manifest, in the order of the file."""
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
    """The training photos that are kept."""
    return [row for row in rows if row.split == "train" and row.status == KEPT]


def evaluated_test_photos(rows: Sequence[Row]) -> list[Row]:
    """The test photos that are kept, and the leaked ones: reported apart, never hidden."""
    return [row for row in rows if row.split == "test" and (row.status == KEPT or row.leaked)]


def suspected_leaks(rows: Sequence[Row]) -> set[str]:
    """The paths of test photos that may be copies of training photos, but count as leak-free."""
    learned = {row.path for row in rows if row.split == "train"}
    return {
        row.path
        for row in rows
        if row.split == "test" and not row.leaked and row.suspected_of in learned
    }
