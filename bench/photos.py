"""The photos of a folder as rows of a manifest, for benchmarks that need no `validate`."""

from __future__ import annotations

from pathlib import Path

from carbrand.dataset import find_files
from carbrand.inspection import PhotoLimits, inspect_file
from carbrand.manifest import Row
from carbrand.photo import MAX_PIXELS


def read_rows(folder: Path) -> list[Row]:
    """A row for each photo in FOLDER/<brand>/, sorted by path."""
    limits = PhotoLimits((folder,), MAX_PIXELS, min_side_px=1, max_aspect=100.0)
    files = find_files(folder, "train")
    return [inspect_file(file, limits).row for file in files if file.is_photo]
