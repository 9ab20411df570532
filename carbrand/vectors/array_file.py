"""Arrays of one row per photo, in files: there may be more than memory holds.

They are written from front to back, and mapped into memory to be read.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

# Rows of a mapped array that are read before the memory of those before is given back.
_HELD = 1024


def write_rows(paths: Sequence[Path], rows: Iterable[Sequence[np.ndarray]], count: int) -> None:
    """Write one .npy file per path, a row at a time as `np.save` would write all of them at once.

    rows: `count` tuples, at least one, of an array per path, each of one shape and dtype.
    """
    # Not through a mapping: where the disk is full, that ends the process without a word.
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for number, row in enumerate(rows):
            for file, array in zip(files, row, strict=True):
                if number == 0:
                    _write_header(file, array.dtype, (count, *array.shape))
                file.write(np.ascontiguousarray(array).data)


def open_rows(path: Path) -> np.ndarray:
    """The array in a .npy file, read from disk only as far as it is used."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def select_rows(array: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """Some rows of a mapped array, in a file without a name that lasts as long as it is used."""
    if list(rows) == list(range(len(array))):
        return array
    if not rows:  # of nothing there is no mapping
        return np.empty((0, *array.shape[1:]), array.dtype)
    with tempfile.TemporaryFile() as file:
        for row in iter_rows(array, rows):
            file.write(np.ascontiguousarray(row).data)
        file.flush()
        return np.memmap(file, array.dtype, "r", shape=(len(rows), *array.shape[1:]))


def iter_rows(array: np.ndarray, rows: Iterable[int]) -> Iterator[np.ndarray]:
    """Some rows of a mapped array, one after the other; what was read of it is not held on to."""
    for number, row in enumerate(rows):
        if number % _HELD == 0:
            release_pages(array)
        yield np.asarray(array[row])


def release_pages(array: np.ndarray) -> None:
    """Give back the memory that holds what was read of a mapped file; it can be read again.

    The system would do that too, but late: who reads through a file seems to need all of it.
    """
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mapped, "madvise"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)


def _write_header(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    description = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
