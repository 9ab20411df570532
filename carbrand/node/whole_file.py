"""A file that holds what it held or what it shall hold, whatever happens in between."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write the file under another name, sync it, and rename it."""
    fresh = path.with_name(f".{path.name}.unfinished")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
