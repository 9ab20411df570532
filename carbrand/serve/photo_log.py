"""The log of `carbrand serve --log FOLDER`: observations of photos, never the photos.

The folder holds files `photos-<time>-<process>.jsonl`, the oldest of which are deleted where they
would take more than the limit. A line is one photo, written at once: after a kill or on a full disk
a part of one may remain, which readers skip.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.model.observation import Observation, round_vectors
from carbrand.node.errors import UserError
from carbrand.node.terminal import print_note

# The log holds the newest photos: 10,000 with vectors of 3,072 numbers.
LIMIT_BYTES = 100_000_000
# The files that this is divided into, of which one is deleted at a time.
FILES = 10
PATTERN = "photos-*.jsonl"


class PhotoLog:
    """Writes observations of one model's photos. Thread-safe."""

    def __init__(self, folder: Path, model: str, limit_bytes: int = LIMIT_BYTES) -> None:
        """model: the SHA-256 of its file. Raises UserError if the folder cannot be written to."""
        self._folder, self._model = folder, model
        self._file_bytes, self._limit_bytes = limit_bytes // FILES, limit_bytes
        self._lock = threading.Lock()
        self._file: int | None = None
        self._written = 0
        self._failing = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UserError(
                f"The log {folder} cannot be written ({_reason(error)}). Give another folder to "
                "--log."
            ) from None

    def add(self, observation: Observation) -> None:
        """Append an observation; where that fails, print a note once, and go on without it."""
        record = {"model": self._model} | asdict(observation)
        vector = base64.b64encode(round_vectors(observation.vector).tobytes()).decode("ascii")
        record |= {"time": record.pop("name"), "vector": vector}
        line = json.dumps(record, separators=(",", ":")).encode("utf-8") + b"\n"
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                if not self._failing:
                    print_note(
                        f"warning: the log {self._folder} cannot be written ({_reason(error)}). "
                        "Photos are predicted, but not logged until that is mended."
                    )
                self._failing = True
            else:
                self._failing = False

    def close(self) -> None:
        """Close the file; another `add` begins a new one."""
        with self._lock:
            self._close()

    def _append(self, line: bytes) -> None:
        if self._file is not None and self._written + len(line) > self._file_bytes:
            self._close()
        if self._file is None:
            self._make_room(len(line))
            self._file, self._written = _create(self._folder), 0
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(None, "only a part could be written")
        except OSError:
            with contextlib.suppress(OSError):  # the part of a line
                os.ftruncate(self._file, self._written)
            raise
        self._written += len(line)

    def _make_room(self, line: int) -> None:
        """Delete the oldest files until another one is within the limit."""
        files = [(path, path.stat().st_size) for path in sorted(self._folder.glob(PATTERN))]
        total = max(self._file_bytes, line) + sum(size for _, size in files)
        for number, (path, size) in enumerate(files):
            # A server that is started again and again leaves many small files.
            if total <= self._limit_bytes and len(files) - number < 10 * FILES:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None


@dataclass(frozen=True)
class LoggedPhotos:
    """What a log holds. photos: those of one model, oldest first. other: photos of other models.
    damaged: lines that are no photo.
    """

    photos: list[Observation]
    other: int
    damaged: int


def now() -> str:
    """The name of a photo whose path is not known: the time in UTC, with milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_log(folder: Path) -> bool:
    """Whether the folder holds a log."""
    return any(folder.glob(PATTERN))


def read_log(folder: Path, model: str) -> LoggedPhotos:
    """Read the photos of the model with this SHA-256."""
    photos, other, damaged = [], 0, 0
    for line in _lines(folder):
        try:
            record = json.loads(line)
            if record.pop("model") != model:
                other += 1
                continue
            photos.append(_parse(record))
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged += 1
    return LoggedPhotos(sorted(photos, key=lambda photo: photo.name), other, damaged)


def _lines(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob(PATTERN)):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # just deleted
            yield from file


def _parse(record: dict[str, Any]) -> Observation:
    """Raises KeyError, TypeError or ValueError for another record."""
    known = {field.name for field in fields(Observation)}
    vector = np.frombuffer(base64.b64decode(record["vector"], validate=True), "<f2")
    record |= {"name": record["time"], "vector": vector.astype(np.float32)}
    return Observation(**{name: record[name] for name in known})


def _create(folder: Path) -> int:
    name = PATTERN.replace("*", f"{time.time_ns():020}-{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
    return os.open(folder / name, flags, 0o600)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
