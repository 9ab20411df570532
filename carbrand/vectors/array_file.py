"""Arrays with one row per photo in .npy files that may be larger than memory.

They are written sequentially, and read through a memory map.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

# Rows of a memory map that are read before its pages are released.
_HELD = 1024


def write_rows(paths: Sequence[Path], rows: Iterable[Sequence[np.ndarray]], count: int) -> None:
    """Write one .npy file per path, row by row.

    rows: `count` (at least one) tuples with one array per path, of constant shape and dtype.
    """
    # Not through a memory map, which on a full disk ends the process with SIGBUS.
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for number, row in enumerate(rows):
            for file, array in zip(files, row, strict=True):
                if number == 0:
                    _write_header(file, array.dtype, (count, *array.shape))
                file.write(np.ascontiguousarray(array).data)


def open_rows(path: Path) -> np.ndarray:
    """Open a .npy file as a read-only memory map."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def select_rows(array: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """Copy rows of a memory map into another one, of an anonymous temporary file."""
    if list(rows) == list(range(len(array))):
        return array
    return map_parts(iter_rows(array, rows), array.dtype, (len(rows), *array.shape[1:]))


def map_parts(parts: Iterable[np.ndarray], dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """A read-only memory map, of an anonymous temporary file, of the parts put together."""
    if 0 in shape:  # an empty file cannot be mapped
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).data)
        file.flush()
        return np.memmap(file, dtype, "r", shape=shape)


def iter_rows(array: np.ndarray, rows: Iterable[int]) -> Iterator[np.ndarray]:
    """Yield rows of a memory map, releasing its pages on the way."""
    for number, row in enumerate(rows):
        if number % _HELD == 0:
            release_pages(array)
        yield np.asarray(array[row])


def release_pages(array: np.ndarray) -> None:
    """Release the pages of a memory map (MADV_DONTNEED); they are read again when needed.

    The system would release them too, but only under memory pressure.
    """
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mapped, "madvise"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)


def _write_header(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    description = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
