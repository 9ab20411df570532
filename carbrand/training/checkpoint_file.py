"""Records in a file, each an array and what it is the answer to; a torn one is as good as none."""

from __future__ import annotations

import hashlib
import os
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np

# Checksum of all that follows, what the array answers (SHA-256), and its bytes.
_HEAD = struct.Struct("<32s32sQ")
_CHECKSUM = 32


def pack(question: bytes, answer: np.ndarray) -> bytes:
    """A record of a question, 32 bytes, and an answer, float64 (k,)."""
    content = np.ascontiguousarray(answer, np.float64).tobytes()
    record = _HEAD.pack(b"", question, len(content))[_CHECKSUM:] + content
    return hashlib.sha256(record).digest() + record


def read(path: Path, at: int) -> tuple[bytes, np.ndarray, int] | None:
    """The question, the answer and the end of the record at a place; None: there is no whole one.

    Memory is asked for only as far as the file is long.
    """
    with suppress(OSError, struct.error), path.open("rb") as file:
        file.seek(at)
        head = file.read(_HEAD.size)
        checksum, question, size = _HEAD.unpack(head)
        if size <= os.fstat(file.fileno()).st_size - file.tell():
            content = file.read(size)
            if hashlib.sha256(head[_CHECKSUM:] + content).digest() == checksum:
                return question, np.frombuffer(content, np.float64), file.tell()
    return None


def append(path: Path, at: int, records: bytes | bytearray) -> None:
    """Write from a place on, which is the end of what is whole, and wait until the disk has it.

    Two processes of the same training write the same bytes to the same places. Raises OSError,
    also where the file is shorter.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666), "r+b") as file:
        if os.fstat(file.fileno()).st_size < at:
            raise FileNotFoundError(0, "it was removed")
        file.seek(at)
        file.write(records)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, records: bytes | bytearray) -> None:
    """Write under another name, wait until the disk has it, and rename. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    append(fresh, 0, records)
    fresh.replace(path)


# Windows would change line ends.
_BINARY = getattr(os, "O_BINARY", 0)
