"""What a long training has computed so far, so that the next need not, should it be killed.

It is kept outside of the outputs, in a folder that is safe to delete, in one file per training,
which is named for all that its numbers follow from: of anything else, no number is used.
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
from carbrand.training.checkpoint_file import append, pack, read, replace

_NAME = re.compile(r"[0-9a-f]{64}\.checkpoint(\.\d+)?")
_STATE = hashlib.sha256(b"state").digest()
# Answers wait in memory until it is time to write, or until they are so many bytes.
_MOST_WAITING = 256_000_000


@dataclass(frozen=True)
class Checkpoints:
    """The folder that they are kept in, and when they are written."""

    folder: Path
    # What took less is computed again before anybody would want to read about it.
    after_s: float = 10.0
    every_s: float = 5.0
    # Nothing is written for so many times longer than writing took.
    rest: float = 30.0
    max_bytes: int = 2_000_000_000

    def files(self) -> list[Path]:
        """All that are there, whole or not, of whatever training."""
        with suppress(OSError):
            return [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return []

    def clear(self) -> None:
        """Remove them, and the folder where nothing else is in it."""
        _remove(self.files())
        with suppress(OSError):
            self.folder.rmdir()


class Checkpoint:
    """What is kept of one training: answers in the order in which they were asked, or one state.

    With no `place` nothing is. `name` gives 64 hexadecimal digits, another one for every training
    that differs; it is called only where there is something to read or to write. Where nothing can
    be written, training goes on without, and a line says so.
    """

    def __init__(self, place: Checkpoints | None, name: Callable[[], str]) -> None:
        self._place = place
        self._name = name
        self._path: Path | None = None
        self._end = 0  # of the answers in the file that are those of this training
        self._waiting = bytearray()
        self._recalls = self._has_recalled = False
        self._due = 0.0
        if place is None:
            return
        if place.files():
            path = self._find(place)
            _remove(file for file in place.files() if file != path)
            self._recalls = path.exists()
        # What was killed has been long.
        self._due = time.monotonic() + (place.every_s if self._recalls else place.after_s)

    def answer(self, question: np.ndarray, ask: Callable[[], np.ndarray]) -> np.ndarray:
        """What `ask` gives, float64 (k,), or gave when this was asked at the same point before."""
        if self._place is None:
            return ask()
        asked = hashlib.sha256(np.ascontiguousarray(question).data).digest()
        found = self._recall(asked)
        if found is None:
            found = ask()
            self._waiting += pack(asked, found)
            if time.monotonic() >= self._due or len(self._waiting) > _MOST_WAITING:
                self._keep(self._end, self._waiting)
                self._end += len(self._waiting)
                self._waiting.clear()
        return found

    def state(self) -> np.ndarray | None:
        """The last one that was kept, float64 (k,)."""
        return self._recall(_STATE)

    def keep_state(self, make: Callable[[], np.ndarray]) -> None:
        """Keep what `make` gives, float64 (k,), and not the state before, where it is time to."""
        if self._place is not None and time.monotonic() >= self._due:
            self._keep(None, pack(_STATE, make()))

    def tell(self, epoch: int, epochs: int) -> None:
        """Say once where training goes on, if it does not begin."""
        if self._has_recalled and epoch <= epochs:
            print_note(f"note: training goes on from epoch {epoch} of {epochs}.")
            self._has_recalled = False

    def _find(self, place: Checkpoints) -> Path:
        self._path = self._path or place.folder / f"{self._name()}.checkpoint"
        return self._path

    def _recall(self, asked: bytes) -> np.ndarray | None:
        found = read(self._path, self._end) if self._path and self._recalls else None
        if found is None or found[0] != asked:
            self._recalls = False  # what follows in the file was found on another way
            return None
        self._has_recalled = True
        _, answer, self._end = found
        return answer

    def _keep(self, at: int | None, records: bytes | bytearray) -> None:
        """Write them into the file from a place on, or instead of it."""
        place = self._place
        if place is None:
            return
        if (at or 0) + len(records) > place.max_bytes:
            self._stop(place, f"it would be more than {place.max_bytes / 1e9:g} GB")
            return
        path, start = self._find(place), time.monotonic()
        try:
            place.folder.mkdir(parents=True, exist_ok=True)
            if at is None:
                replace(path, records)
            else:
                append(path, at, records)
        except OSError as error:
            # The disk may be full, and the model needs the space more.
            _remove(file for file in place.files() if file.name.startswith(path.name))
            self._stop(place, str(error.strerror))
        end = time.monotonic()
        self._due = end + max(place.every_s, place.rest * (end - start))

    def _stop(self, place: Checkpoints, reason: str) -> None:
        print_note(f"note: {place.folder} keeps no more of this training: {reason}.")
        self._place = None


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink()
