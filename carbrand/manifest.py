"""The manifest: one row per file found, what it is, whether it is used, and why not."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT, EXCLUDED, ERROR = "kept", "excluded", "error"


@dataclass(frozen=True)
class Row:
    """One file. Width and height are those of the upright photo; 0 where nothing could be read.

    `sha256` is that of the bytes, `pixel_sha256` that of the upright RGB pixels and their size,
    `phash` a 64-bit perceptual hash; all in hex, empty where nothing could be read. `issues` are
    codes, in a fixed order. `duplicate_of` is the path of the photo that this one is a copy of.
    """

    path: str
    split: str
    brand: str
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    sha256: str = ""
    pixel_sha256: str = ""
    phash: str = ""
    status: str = KEPT
    issues: tuple[str, ...] = ()
    duplicate_of: str = ""

    @property
    def leaked(self) -> bool:
        """Whether this is a test photo that the model has seen in training."""
        return "leaked" in self.issues


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


def write_manifest(path: Path, rows: Sequence[Row]) -> None:
    """Write `rows`, sorted by path. Names that are no UTF-8 survive the round trip."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for row in sorted(rows, key=lambda row: row.path):
            values = [getattr(row, name) for name in COLUMNS]
            values[COLUMNS.index("issues")] = ";".join(row.issues)
            table.writerow(values)


def read_manifest(path: Path) -> list[Row]:
    """The rows of the manifest, in the order of the file."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return [_parse(record) for record in csv.DictReader(file)]


def _parse(record: dict[str, Any]) -> Row:
    record["width"], record["height"] = int(record["width"]), int(record["height"])
    record["issues"] = tuple(code for code in record["issues"].split(";") if code)
    return Row(**record)


def photos_to_learn_from(rows: Sequence[Row]) -> list[Row]:
    """The training photos that are kept."""
    return [row for row in rows if row.split == "train" and row.status == KEPT]


def photos_to_predict(rows: Sequence[Row]) -> list[Row]:
    """The test photos that are kept, and the leaked ones: reported apart, never hidden."""
    return [row for row in rows if row.split == "test" and (row.status == KEPT or row.leaked)]
