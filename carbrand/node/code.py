"""The hash of source code: a part of cache keys, so that changed code means a cache miss."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def hash_rooms(rooms: Sequence[str], *others: Path) -> str:
    """SHA-256 of the paths and contents of all modules in `rooms` (subpackages) and `others`."""
    modules = [path for room in rooms for path in sorted((_PACKAGE / room).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in modules:
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + _hash(path))
    for path in others:
        digest.update(path.name.encode() + b"\0" + _hash(path))
    return digest.hexdigest()


def _hash(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
