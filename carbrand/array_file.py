"""Arrays of one row per photo, in files mapped into memory: there may be more than memory holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np


def write_rows(paths: Sequence[Path], rows: Iterable[Sequence[np.ndarray]], count: int) -> None:
    """Write one .npy file per path, a row at a time as `np.save` would write all of them at once.

    rows: `count` tuples, at least one, of an array per path, each of one shape and dtype.
    """
    files: list[np.memmap] = []
    for number, row in enumerate(rows):
        if not files:
            files = [
                np.lib.format.open_memmap(path, "w+", array.dtype, (count, *array.shape))
                for path, array in zip(paths, row, strict=True)
            ]
        for file, array in zip(files, row, strict=True):
            file[number] = array
    for file in files:
        file.flush()


def map_rows(path: Path) -> np.ndarray:
    """The array in a .npy file, read from disk only as far as it is used."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def choose_rows(array: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """Some rows of a mapped array, in a file without a name that lasts as long as it is used."""
    if list(rows) == list(range(len(array))):
        return array
    with tempfile.TemporaryFile() as file:
        chosen = np.memmap(file, array.dtype, "w+", shape=(len(rows), *array.shape[1:]))
    for number, row in enumerate(rows):
        chosen[number] = array[row]
    return chosen
