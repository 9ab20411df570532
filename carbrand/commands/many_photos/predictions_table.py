"""A CSV file of predictions that is written row by row, and goes on after a kill.

Until all rows are there, they are in `FILE.<key>.part`. The key stands for all that a row depends
on besides its photo: another model or another version of a package begins anew.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from carbrand.model.classifier import Prediction, rank_brands
from carbrand.node.errors import UserError
from carbrand.node.files.atomic import full_disk_named
from carbrand.node.files.table import format_row, read_whole_rows
from carbrand.node.origin import version_of
from carbrand.photos.photo import UnreadablePhoto
from carbrand.pipeline.locks import Busy, held_within
from carbrand.scores.files.predictions_file import PROBABILITY_DECIMALS

COLUMNS = ("path", "predicted", "confidence", "unknown", "unknown_score", "set", "error")
_PACKAGES = ("carbrand", "keras", "numpy", "openvino", "pillow", "pillow-heif", "tensorflow")


class PredictionsTable:
    """The rows of the first `done` photos, in the file `part`."""

    def __init__(self, part: Path, file: BinaryIO, brands: Sequence[str]) -> None:
        self.part, self.done = part, 0
        self._file, self._brands = file, brands

    def resume(self, photos: Iterable[str], unsure: Collection[str]) -> None:
        """Keep the rows of the first photos, until one that is new, changed since, or unsure."""
        file, row = self._file, format_row([*COLUMNS, *(f"p_{brand}" for brand in self._brands)])
        written_s = os.fstat(file.fileno()).st_mtime
        file.seek(0)
        if file.read(len(row)) != row:
            file.truncate(0)
            file.write(row)
            file.flush()
        end = len(row)
        for photo, cells in zip(photos, read_whole_rows(self.part), strict=False):
            row = format_row(cells.values())
            is_whole = cells["path"] == photo and file.read(len(row)) == row
            if not is_whole or photo in unsure or _is_newer(photo, written_s):
                break
            self.done, end = self.done + 1, end + len(row)
        file.truncate(end)

    def add(self, path: str, outcome: Prediction | UnreadablePhoto) -> None:
        """Append the row of the next photo."""
        self._file.write(format_row([path, *_cells(outcome, self._brands)]))
        self._file.flush()  # what the system has, a killed process does not lose
        self.done += 1


@contextmanager
def predictions_table(
    path: Path, model: Path, brands: Sequence[str], photos: Sequence[str], unsure: Collection[str]
) -> Iterator[PredictionsTable]:
    """Yield the table, with the rows that an earlier run left; at the end it becomes `path`.

    unsure: photos that must be predicted anew. Raises UserError where another process writes it.
    """
    path, key = path.resolve(), hashlib.sha256(model.read_bytes())
    key.update(repr([version_of(name) for name in _PACKAGES]).encode())
    part = path.with_name(f"{path.name}.{key.hexdigest()[:8]}.part")
    lock = path.with_name(f".{path.name}.lock")
    try:
        with held_within(lock, 0):
            for other in path.parent.iterdir():  # of another model
                if re.fullmatch(rf"{re.escape(path.name)}\.[0-9a-f]{{8}}\.part", other.name):
                    other.unlink() if other != part else None
            try:
                with full_disk_named(part), part.open("a+b") as file:
                    table = PredictionsTable(part, file, brands)
                    table.resume(photos, unsure)
                    yield table
                    os.fsync(file.fileno())
                part.replace(path)
            finally:
                with suppress(OSError):  # Windows removes it by itself
                    lock.unlink()
    except Busy:
        raise UserError(
            f"Another process is writing {path.name}. Wait for its end, or give another file."
        ) from None


def _is_newer(photo: str, than_s: float) -> bool:
    try:
        status = os.stat(photo)  # noqa: PTH116 — a Path per photo is slower
    except OSError:
        return False
    return max(status.st_mtime, status.st_ctime) > than_s


def _cells(outcome: Prediction | UnreadablePhoto, brands: Sequence[str]) -> list[object]:
    if isinstance(outcome, UnreadablePhoto):
        return ["", "", "", "", "", outcome.reason, *("" for _ in brands)]
    ranked = rank_brands(outcome.probabilities, brands)
    score = outcome.unknown_score
    numbers = [ranked["confidence"], *(ranked["probabilities"][brand] for brand in brands)]
    confidence, *probabilities = (f"{number:.{PROBABILITY_DECIMALS}f}" for number in numbers)
    unknown = ["", ""] if score is None else [outcome.unknown, score]
    return [ranked["brand"], confidence, *unknown, ";".join(outcome.brand_set), "", *probabilities]
