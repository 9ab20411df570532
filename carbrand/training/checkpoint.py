"""Checkpoints, from which a training that was killed is resumed with the same bits.

They are kept outside of the outputs, in a folder that is safe to delete. There is one file per
training, named by a hash of everything that determines its numbers (`checkpoint_key`).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.node.terminal import print_note
from carbrand.training.checkpoint_file import append, pack, read

_NAME = re.compile(r"[0-9a-f]{64}\.checkpoint")
# Results are buffered until the next write is due, or until there are so many bytes.
_MAX_BUFFER_BYTES = 256_000_000


@dataclass(frozen=True)
class Checkpoints:
    """The folder of the checkpoint files, and when they are written."""

    folder: Path
    # A shorter training is not worth a checkpoint.
    after_s: float = 10.0
    every_s: float = 5.0
    # The least pause after a write, as a multiple of its duration.
    rest: float = 30.0
    max_bytes: int = 2_000_000_000

    def files(self) -> list[Path]:
        """All checkpoint files of any training, complete or not."""
        with suppress(OSError):
            return [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return []

    def clear(self) -> None:
        """Remove all files, and the folder if it is then empty."""
        _remove(self.files())
        with suppress(OSError):
            self.folder.rmdir()


class Checkpoint:
    """The checkpoint of one training: a log of the results that it computed.

    `name` returns the key of the training, 64 hexadecimal digits; it is called only if there is
    something to read or to write. Without a `place` nothing is kept. If the file cannot be written,
    training continues without it, and a note is printed.
    """

    def __init__(self, place: Checkpoints | None, name: Callable[[], str]) -> None:
        self._place = place
        self._name = name
        self._path: Path | None = None
        self._end = 0  # of the valid records in the file
        self._buffer = bytearray()
        self._replays = self._has_replayed = False
        self._due = 0.0
        if place is None:
            return
        if place.files():
            path = self._find(place)
            _remove(file for file in place.files() if file != path)
            self._replays = path.exists()
        # A training that was killed is known to be long.
        self._due = time.monotonic() + (place.every_s if self._replays else place.after_s)

    def load_or_compute(self, point: np.ndarray, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The result of `compute`, float64 (k,), from the log if it has it at the same point."""
        if self._place is None:
            return compute()
        key = hashlib.sha256(np.ascontiguousarray(point).data).digest()
        result = self._read_next(key)
        if result is None:
            result = compute()
            self._buffer += pack(key, result)
            if time.monotonic() >= self._due or len(self._buffer) > _MAX_BUFFER_BYTES:
                self._write(self._place)
        return result

    def print_resumed(self, epoch: int, epochs: int) -> None:
        """Print once at which epoch training resumes, if anything was read from the file."""
        if self._has_replayed and epoch <= epochs:
            print_note(f"note: training resumes at epoch {epoch} of {epochs}.")
            self._has_replayed = False

    def _find(self, place: Checkpoints) -> Path:
        self._path = self._path or place.folder / f"{self._name()}.checkpoint"
        return self._path

    def _read_next(self, key: bytes) -> np.ndarray | None:
        """The next record of the file if it has this key; otherwise None, from then on."""
        record = read(self._path, self._end) if self._path and self._replays else None
        if record is None or record[0] != key:
            self._replays = False  # the rest of the file belongs to another sequence of points
            return None
        self._has_replayed = True
        _, result, self._end = record
        return result

    def _write(self, place: Checkpoints) -> None:
        """Append what is buffered to the file."""
        if self._end + len(self._buffer) > place.max_bytes:
            self._stop(place, f"it would be more than {place.max_bytes / 1e9:g} GB")
            return
        path, start = self._find(place), time.monotonic()
        try:
            place.folder.mkdir(parents=True, exist_ok=True)
            append(path, self._end, self._buffer)
        except OSError as error:
            # The disk may be full, and the model needs the space.
            _remove([path])
            self._stop(place, str(error.strerror))
        self._end += len(self._buffer)
        self._buffer.clear()
        end = time.monotonic()
        self._due = end + max(place.every_s, place.rest * (end - start))

    def _stop(self, place: Checkpoints, reason: str) -> None:
        print_note(f"note: {place.folder} keeps no further checkpoints: {reason}.")
        self._place = None


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink()
