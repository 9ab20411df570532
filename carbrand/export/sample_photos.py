"""The photos that an export is made with and checked on."""

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
from carbrand.photos.files import find_files
from carbrand.photos.manifest import KEPT, Row
from carbrand.photos.photo import read_photo
from carbrand.photos.resizing import ResizePolicy

# Of each half. More tell calibration and check little, and take minutes at 448 px.
MOST = 48


@dataclass(frozen=True)
class ChosenPhotos:
    """Paths: those that say how large an int8 model's numbers get, and those it is checked on.

    No photo is in both, unless there is only one of each brand.
    """

    representative: tuple[str, ...]
    check: tuple[str, ...]


def choose_photos(folder: Path, rows: Sequence[Row], root: Path) -> ChosenPhotos:
    """At most MOST photos for either use, spread evenly over the brands' folders and inside them.

    Files that the manifest `rows` knows, whose paths are below `root`, must be training photos that
    it keeps: nothing is ever chosen by a test photo. Files that it does not know are taken as they
    are. The same folder and rows give the same photos. Raises UserError where there is none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder. Name one with photos: --photos FOLDER.")
    usable = {_whole(root / row.path): row.status == KEPT and row.split == "train" for row in rows}
    by_brand: defaultdict[str, list[str]] = defaultdict(list)
    for file in find_files(folder, ""):
        if file.has_photo_suffix and usable.get(_whole(file.path), True):
            by_brand[file.brand].append(file.path)
    if not by_brand:
        raise UserError(
            f"{folder} holds no training photo that the manifest keeps. Name a folder of training "
            "photos with --photos."
        )
    brands = [by_brand[brand] for brand in sorted(by_brand)]
    representative = [paths[::2] for paths in brands]
    check = [paths[1::2] or paths for paths in brands]
    return ChosenPhotos(_spread(representative), _spread(check))


def _whole(path: Path | str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 — `resolve` would follow links


def _spread(brands: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """About MOST, at least one of each brand: the first of each, then the second of each, …"""
    each = -(-MOST // len(brands))
    thinned = [
        [paths[index * len(paths) // each] for index in range(each)]
        if len(paths) > each
        else list(paths)
        for paths in brands
    ]
    return tuple(path for path in chain.from_iterable(zip_longest(*thinned)) if path is not None)


def write_photos(
    paths: Sequence[str], size_px: int, policy: ResizePolicy, target: Path
) -> np.ndarray:
    """What the model sees of `paths`, as an array (n, s, s, 3) uint8 in the .npy file `target`.

    It is mapped, not held. Raises UnreadablePhoto.
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
