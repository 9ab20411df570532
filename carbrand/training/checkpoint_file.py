"""Records of a key and an array in a file; an incomplete record counts as absent."""

from __future__ import annotations

import hashlib
import os
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np

# Checksum of the rest of the record, key (both SHA-256), and the array's size in bytes.
_HEAD = struct.Struct("<32s32sQ")
_CHECKSUM = 32


def pack(key: bytes, array: np.ndarray) -> bytes:
    """A record of a key, 32 bytes, and an array, float64 (k,)."""
    content = np.ascontiguousarray(array, np.float64).tobytes()
    record = _HEAD.pack(b"", key, len(content))[_CHECKSUM:] + content
    return hashlib.sha256(record).digest() + record


def read(path: Path, at: int) -> tuple[bytes, np.ndarray, int] | None:
    """The key, array and end of the record at a position, or None if there is no complete one.

    Allocates no more memory than the file is long, whatever the record's size field holds.
    """
    with suppress(OSError, struct.error), path.open("rb") as file:
        file.seek(at)
        head = file.read(_HEAD.size)
        checksum, key, size = _HEAD.unpack(head)
        if size <= os.fstat(file.fileno()).st_size - file.tell():
            content = file.read(size)
            if hashlib.sha256(head[_CHECKSUM:] + content).digest() == checksum:
                return key, np.frombuffer(content, np.float64), file.tell()
    return None


def append(path: Path, at: int, records: bytes | bytearray) -> None:
    """Write and flush to disk at a position, the end of the valid records.

    Two processes of the same training write the same bytes at the same positions. Raises OSError,
    also if the file is shorter than `at`.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666), "r+b") as file:
        if os.fstat(file.fileno()).st_size < at:
            raise FileNotFoundError(0, "it was removed")
        file.seek(at)
        file.write(records)
        file.flush()
        os.fsync(file.fileno())


# Windows would change line ends.
_BINARY = getattr(os, "O_BINARY", 0)
