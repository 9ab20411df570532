"""How surely copies are found: `python -m bench.copies FOLDER [STEP]`, on every STEP-th photo.

Each photo is edited in every way of tests/edits.py; then the copy is looked for among the photos,
by hash as `validate` does it and by vectors as `evaluate` does. Printed are the shares that are
found, how often another photo is found instead, and the pairs among the photos as they are: for a
person to look at.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from bench.photos import make_network
from carbrand.alignment import grey_thumbnail
from carbrand.dataset import find_files
from carbrand.engines import Engine
from carbrand.extraction import extract
from carbrand.fingerprint import fingerprint
from carbrand.inspection import hash_pixels
from carbrand.near_duplicates import find_near_duplicates
from carbrand.params import read_section
from carbrand.photo import open_photo, resize
from carbrand.space import Space
from carbrand.vector_copies import PhotoSet, find_copies
from stages.features import FeaturesParams
from tests.edits import CROPS, EDITS

DISTANCE = 10


def look_at(photos: list[Image.Image], network: Engine, size_px: int) -> PhotoSet:
    """What the default `features` would store of the photos."""

    def plain_view(photo: Image.Image) -> list[np.ndarray]:
        return [np.asarray(resize(photo, size_px, "stretch"))]

    vectors = extract(photos, plain_view, network)
    return PhotoSet(
        np.concatenate(list(vectors)),
        np.stack([grey_thumbnail(photo) for photo in photos]),
        np.array([photo.width / photo.height for photo in photos]),
    )


def by_hash(originals: list[Image.Image], copies: list[Image.Image]) -> tuple[float, int]:
    """The share of copies found, and how many copies are put together with another photo."""
    prints = [fingerprint(photo) for photo in originals + copies]
    labels = find_near_duplicates(prints, DISTANCE).labels()
    before = find_near_duplicates(prints[: len(originals)], DISTANCE).labels()
    here, there = labels[: len(originals)], labels[len(originals) :]
    found = float(np.mean(here == there))
    return found, len(set(before.tolist())) - len(set(here.tolist()))


def by_vectors(originals: PhotoSet, copies: PhotoSet, space: Space) -> tuple[float, int]:
    """The same, by vectors."""
    pairs = find_copies(copies, originals, space)
    right = {pair.photo for pair in pairs if pair.photo == pair.original}
    wrong = {pair.photo for pair in pairs} - right
    return len(right) / len(copies.vectors), len(wrong)


def main(folder: Path, step: int) -> None:
    """Print one row per edit, then the pairs that are there already."""
    paths = [file.path for file in find_files(folder, "") if file.is_named_like_a_photo][::step]
    opened = {path: open_photo(path) for path in paths}
    # Copies that are there already would be counted as other photos.
    unique = {hash_pixels(photo): path for path, photo in reversed(opened.items())}
    paths = sorted(unique.values())
    photos = [opened[path] for path in paths]
    params = read_section(Path("params.yaml"), "features", FeaturesParams)
    network, recipe = make_network(params)
    seen = look_at(photos, network, params.size_px)
    space = Space.of(seen.vectors[:, None], recipe.widths)
    print(f"{len(photos)} different photos\n")
    print("| edit | found by hash | others | found by vectors | others |")
    print("|---|---:|---:|---:|---:|")
    for name, edit in {**EDITS, **CROPS}.items():
        copies = [edit(photo) for photo in photos]
        hashed, mixed = by_hash(photos, copies)
        near, other = by_vectors(seen, look_at(copies, network, params.size_px), space)
        print(f"| {name} | {hashed:.1%} | {mixed} | {near:.1%} | {other} |", flush=True)
    labels = find_near_duplicates([fingerprint(photo) for photo in photos], DISTANCE).labels()
    for number, label in enumerate(labels.tolist()):
        if label != number:
            print(f"by hash: {paths[number]} and {paths[label]}")
    for pair in find_copies(seen, None, space):
        print(f"by vectors ({pair.similarity:.3f}): {paths[pair.photo]} and {paths[pair.original]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
