"""A cache of vectors by photo, so that a photo added to ten thousand costs one photo.

The key of an entry is a hash of everything that its vectors depend on: the photo's pixels, the
network with its weights, the preprocessing, and the versions of packages. A change of any gives
another key, so no entry is ever stale. Safe to delete; a damaged file is replaced.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from carbrand.node.origin import version_of

# Packages whose versions may change the bits of a vector.
_PACKAGES = ("keras", "numpy", "openvino", "pillow", "pillow-heif", "tensorflow")
# Beyond this the oldest entries are evicted: some 100,000 photos of 4 views.
MAX_BYTES = 4_000_000_000
# Entries per transaction.
_COMMIT_EVERY = 64


class VectorCache:
    """The entries of one recipe in the SQLite file `path`, which is created if it is missing.

    recipe: all that the vectors of a photo depend on besides its pixels, as JSON values.
    """

    def __init__(self, path: Path, recipe: Mapping[str, Any], max_bytes: int = MAX_BYTES) -> None:
        versions = {name: version_of(name) for name in _PACKAGES}
        self._recipe = json.dumps({"recipe": recipe, "versions": versions}, sort_keys=True)
        self._max_bytes = max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = _open(str(path))
        except sqlite3.OperationalError:  # locked for long, or read-only: no cache
            self._database = _open(":memory:")
        except sqlite3.DatabaseError:
            path.unlink()
            self._database = _open(str(path))
        self._uncommitted = 0

    def __enter__(self) -> VectorCache:
        """Use it in a `with` statement: at its end all entries are committed."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(sqlite3.DatabaseError):  # a full disk: then nothing is cached
            self._database.commit()
            if kind is None:
                self._evict_oldest()
        self._database.close()

    def has(self, pixel_sha256: str) -> bool:
        """Whether there is an entry for a photo. (It may be damaged: `get` checks.)"""
        with suppress(sqlite3.DatabaseError):
            found = self._database.execute(
                "SELECT 1 FROM entries WHERE key = ?", (self._key(pixel_sha256),)
            )
            return found.fetchone() is not None
        return False

    def get(self, pixel_sha256: str) -> tuple[np.ndarray, ...] | None:
        """The arrays of a photo; None on a miss, or where the entry is damaged."""
        with suppress(sqlite3.DatabaseError):
            row = self._database.execute(
                "SELECT checksum, content FROM entries WHERE key = ?", (self._key(pixel_sha256),)
            ).fetchone()
            if row and hashlib.sha256(row[1]).digest() == row[0]:
                return _unpack(row[1])
        return None

    def set(self, pixel_sha256: str, *arrays: np.ndarray) -> None:
        """Store the arrays of a photo."""
        content = _pack(arrays)
        entry = (self._key(pixel_sha256), hashlib.sha256(content).digest(), content)
        with suppress(sqlite3.DatabaseError):
            self._database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", entry)
            self._uncommitted += 1
            if self._uncommitted % _COMMIT_EVERY == 0:
                self._database.commit()

    def load_or_compute(
        self,
        photos: Sequence[str],
        compute: Callable[[Sequence[int]], Iterator[tuple[np.ndarray, ...]]],
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """The arrays of each photo in order, from the cache, or else computed and stored there.

        photos: as in `set`. compute: the arrays of these places in `photos`, one after the other.
        """
        hits = [self.has(photo) for photo in photos]
        fresh = compute([place for place, is_hit in enumerate(hits) if not is_hit])
        for place, (photo, is_hit) in enumerate(zip(photos, hits, strict=True)):
            arrays = self.get(photo) if is_hit else next(fresh)
            if arrays is None:  # damaged
                arrays = next(compute([place]))
            if not is_hit:
                self.set(photo, *arrays)
            yield arrays

    def _key(self, pixel_sha256: str) -> bytes:
        return hashlib.sha256(f"{pixel_sha256} {self._recipe}".encode()).digest()

    def _evict_oldest(self) -> None:
        """Delete the entries that were written first until `max_bytes` hold."""
        size = "SELECT coalesce(sum(length(content)), 0) FROM entries"
        (total,) = self._database.execute(size).fetchone()
        while total > self._max_bytes:
            oldest = "SELECT rowid FROM entries ORDER BY rowid LIMIT 100"
            self._database.execute(f"DELETE FROM entries WHERE rowid IN ({oldest})")
            (total,) = self._database.execute(size).fetchone()
        self._database.commit()


def _open(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=10)  # seconds to wait for another run
    database.execute(
        "CREATE TABLE IF NOT EXISTS entries (key BLOB UNIQUE, checksum BLOB, content BLOB)"
    )
    database.execute("SELECT key, checksum, content FROM entries LIMIT 1").fetchone()
    return database


def _pack(arrays: tuple[np.ndarray, ...]) -> bytes:
    """Each array after a line with its dtype and shape."""
    parts = []
    for array in arrays:
        head = json.dumps([array.dtype.str, array.shape])
        parts += [head.encode(), b"\n", np.ascontiguousarray(array).tobytes()]
    return b"".join(parts)


def _unpack(content: bytes) -> tuple[np.ndarray, ...]:
    arrays, at = [], 0
    while at < len(content):
        end = content.index(b"\n", at)
        kind, shape = json.loads(content[at:end])
        dtype, count = np.dtype(kind), int(np.prod(shape))
        arrays.append(np.frombuffer(content, dtype, count, end + 1).reshape(shape))
        at = end + 1 + count * dtype.itemsize
    return tuple(arrays)
