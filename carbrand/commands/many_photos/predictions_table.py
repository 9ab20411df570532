"""A CSV file of predictions that is written row by row, and goes on after a kill.

Until all rows are there, they are in `FILE.<key>.part`. The key stands for all that a row depends
on besides its photo: another model or another version of a package begins anew.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from carbrand.model.classifier import Prediction, rank_brands
from carbrand.node.errors import UserError
from carbrand.node.files.table import format_row, read_stream
from carbrand.node.origin import version_of
from carbrand.node.terminal import print_note
from carbrand.photos.photo import UnreadablePhoto
from carbrand.pipeline.locks import Busy, held_within
from carbrand.scores.files.predictions_file import PROBABILITY_DECIMALS

COLUMNS = ("path", "predicted", "confidence", "unknown", "unknown_score", "set", "error")
_PACKAGES = ("carbrand", "keras", "numpy", "openvino", "pillow", "pillow-heif", "tensorflow")


class PredictionsTable:
    """An open table. done: of how many photos it has the rows."""

    def __init__(self, file: BinaryIO, brands: Sequence[str], done: int) -> None:
        self.done = done
        self._file = file
        self._brands = brands

    def add(self, path: str, outcome: Prediction | UnreadablePhoto) -> None:
        """Append the row of the next photo."""
        self._write([path, *_cells(outcome, self._brands)])
        self.done += 1

    def write_header(self) -> None:
        """The first row."""
        self._write([*COLUMNS, *(f"p_{brand}" for brand in self._brands)])

    def rows(self) -> Iterator[dict[str, str]]:
        """All rows so far, as column name → cell."""
        return read_stream(Path(self._file.name))

    def _write(self, cells: Sequence[object]) -> None:
        try:
            self._file.write(format_row(cells))
            self._file.flush()  # what the system has, a killed process does not lose
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._file.name) from None


def check_place(path: Path) -> None:
    """Raise UserError unless a table can be written there; before anything takes time."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a file. Give --csv the name of a file.")
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent}. Make it, or give --csv another file.")


def key_of(model: Path) -> str:
    """A key of the model's content and of the versions of packages."""
    digest = hashlib.sha256(model.read_bytes())
    digest.update(repr([version_of(name) for name in _PACKAGES]).encode())
    return digest.hexdigest()[:8]


@contextmanager
def predictions_table(
    path: Path, key: str, brands: Sequence[str], photos: Sequence[str], unsure: Collection[str]
) -> Iterator[PredictionsTable]:
    """Yield the table, with the rows that an earlier run left; at the end it becomes `path`.

    Kept are the rows of the first of `photos`, until one that is new, was changed since, or is in
    `unsure`. Raises UserError where another process writes the same file.
    """
    path = path.resolve()
    part = path.with_name(f"{path.name}.{key}.part")
    lock = path.with_name(f".{path.name}.lock")
    with _alone(lock, path):
        _remove_others(path, part)
        try:
            with part.open("a+b") as file:
                yield _go_on(file, brands, photos, unsure)
                os.fsync(file.fileno())
        except KeyboardInterrupt:
            print_note(f"note: the rows so far are in {part}. The same command goes on after them.")
            raise
        part.replace(path)


@contextmanager
def _alone(lock: Path, path: Path) -> Iterator[None]:
    try:
        with held_within(lock, 0):
            try:
                yield
            finally:
                with suppress(OSError):  # Windows removes it by itself
                    lock.unlink()
    except Busy:
        raise UserError(
            f"Another process is writing {path.name}. Wait for its end, or give another file."
        ) from None


def _remove_others(path: Path, part: Path) -> None:
    """Remove parts of other models."""
    pattern = re.compile(rf"{re.escape(path.name)}\.[0-9a-f]{{8}}\.part")
    for other in path.parent.iterdir():
        if other != part and pattern.fullmatch(other.name):
            other.unlink()


def _go_on(
    file: BinaryIO, brands: Sequence[str], photos: Sequence[str], unsure: Collection[str]
) -> PredictionsTable:
    """The table in a file, without what is no row of the first photos."""
    table = PredictionsTable(file, brands, 0)
    header = format_row([*COLUMNS, *(f"p_{brand}" for brand in brands)])
    end = os.fstat(file.fileno()).st_size
    if end >= len(header):
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            end = len(header) if data[: len(header)] == header else 0
            written_s = os.fstat(file.fileno()).st_mtime
            for photo in photos if end else ():
                after = _end_of_row(data, end, photo)
                if not after or photo in unsure or _is_newer(photo, written_s):
                    break
                table.done, end = table.done + 1, after
    else:
        end = 0
    file.truncate(end)
    if not end:
        table.write_header()
    return table


def _end_of_row(data: mmap.mmap, start: int, photo: str) -> int:
    """Where the photo's row ends; 0 if another row or a part of one is there."""
    first = format_row([photo])[:-1] + b","
    if data[start : start + len(first)] != first:
        return 0
    end = start
    while end := data.find(b"\n", end) + 1:
        if data[start:end].count(b'"') % 2 == 0:  # otherwise a line break in a cell
            return end
    return 0


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
