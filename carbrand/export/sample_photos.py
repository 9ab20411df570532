"""The photos for the calibration and the check of an export."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from carbrand.node.errors import UserError
from carbrand.parallel.batches import prefetch_map, usable_cores
from carbrand.photos.folders.files import find_files
from carbrand.photos.manifest import KEPT, Row
from carbrand.photos.photo import read_photo
from carbrand.photos.resizing import ResizePolicy

# Photos for either use. More would hardly change the result, and take minutes at 448 px.
MAX_PHOTOS = 48


@dataclass(frozen=True)
class ChosenPhotos:
    """Paths of photos for the int8 calibration (`representative`) and for the check.

    They are disjoint, except for brands with a single photo.
    """

    representative: tuple[str, ...]
    check: tuple[str, ...]


def choose_photos(folder: Path, rows: Sequence[Row], root: Path) -> ChosenPhotos:
    """At most MAX_PHOTOS photos for either use, evenly spread over the brands and within them.

    Files in the manifest `rows`, with paths relative to `root`, are used only if they are kept
    training photos, never test photos; other files are used as they are. Deterministic. Raises
    UserError if there is no photo.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give one with photos: --photos FOLDER.")
    usable = {
        _absolute(root / row.path): row.status == KEPT and row.split == "train" for row in rows
    }
    by_brand: defaultdict[str, list[str]] = defaultdict(list)
    for file in find_files(folder, ""):
        if file.has_photo_suffix and usable.get(_absolute(file.path), True):
            by_brand[file.brand].append(file.path)
    if not by_brand:
        raise UserError(
            f"{folder} has no training photo that the manifest keeps. Give a folder of training "
            "photos with --photos."
        )
    brands = [by_brand[brand] for brand in sorted(by_brand)]
    representative = [paths[::2] for paths in brands]
    check = [paths[1::2] or paths for paths in brands]
    return ChosenPhotos(_spread(representative), _spread(check))


def _absolute(path: Path | str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 — `resolve` would follow links


def _spread(brands: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """About MAX_PHOTOS, at least one per brand: the first of each, then the second of each, …"""
    per_brand = -(-MAX_PHOTOS // len(brands))
    thinned = []
    for paths in brands:
        count = min(len(paths), per_brand)
        thinned.append([paths[index * len(paths) // count] for index in range(count)])
    return tuple(path for path in chain.from_iterable(zip_longest(*thinned)) if path is not None)


def write_photos(
    paths: Sequence[str], size_px: int, policy: ResizePolicy, target: Path
) -> np.ndarray:
    """Write the preprocessed photos to the .npy file `target`.

    Returns the memory-mapped array, (n, s, s, 3) uint8. Raises UnreadablePhoto.
    """
    shape = (len(paths), size_px, size_px, 3)
    photos = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    read = prefetch_map(
        lambda path: read_photo(path, size_px, policy), paths, ahead=2 * usable_cores()
    )
    for row, photo in enumerate(read):
        photos[row] = photo
    photos.flush()
    return photos
