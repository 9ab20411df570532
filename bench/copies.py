"""How surely copies are found: `python -m bench.copies FOLDER [STEP]`, on every STEP-th photo.

Each photo is edited in every way of tests/support/edits.py; then the copy is looked for among the
photos, by hash and by parts as `validate` does it and by vectors as `features` does. Printed are
the shares that are found (by parts also those that are only suspected), how often another photo is
found instead, and the pairs among the photos as they are: for a person to look at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench.photos import make_network
from carbrand.checks.copies.block_match import BlockMatch
from carbrand.checks.copies.edit_candidates import EditCandidate
from carbrand.checks.copies.edited_copies import MatchedPair, best_match, find_edited_copies
from carbrand.checks.copies.fingerprint import fingerprint, working_copy
from carbrand.checks.copies.near_duplicates import find_near_duplicates
from carbrand.checks.copies.window_hash import hash_windows, pictures
from carbrand.checks.inspection import hash_pixels
from carbrand.network.extraction import extract
from carbrand.network.inference.engines import Engine
from carbrand.node.params import read_section
from carbrand.photos.folders.files import find_files
from carbrand.photos.manifest import Row
from carbrand.photos.photo import open_photo
from carbrand.photos.resizing import resize
from carbrand.photos.union_find import UnionFind
from carbrand.vectors.alignment import grey_thumbnail
from carbrand.vectors.standardizer import Standardizer
from carbrand.vectors.vector_copies import PhotoSet, find_vector_copies
from stages.features import FeaturesParams
from tests.support.edits import CROPS, EDITS, OVERLAYS

DISTANCE = 10


def look_at(photos: list[Image.Image], split: str, network: Engine, size_px: int) -> PhotoSet:
    """What the default `features` would make of the photos."""

    def plain_view(photo: Image.Image) -> list[np.ndarray]:
        return [np.asarray(resize(photo, size_px, "stretch"))]

    vectors = extract(photos, plain_view, network)
    return PhotoSet(
        [
            Row(f"{split} {number}", split, "", photo.width, photo.height)
            for number, photo in enumerate(photos)
        ],
        np.concatenate(list(vectors)),
        np.stack([grey_thumbnail(photo) for photo in photos]),
    )


def by_hash(originals: list[Image.Image], copies: list[Image.Image]) -> tuple[float, int]:
    """The share of copies found, and how many copies are put together with another photo."""
    prints = [fingerprint(photo) for photo in originals + copies]
    labels = find_near_duplicates(prints, DISTANCE).labels()
    before = find_near_duplicates(prints[: len(originals)], DISTANCE).labels()
    here, there = labels[: len(originals)], labels[len(originals) :]
    found = float(np.mean(here == there))
    return found, len(set(before.tolist())) - len(set(here.tolist()))


@dataclass(frozen=True)
class Parts:
    """What is remembered of the parts of photos, and what a close look at each shows."""

    hashes: list[np.ndarray]
    shown: list[list[np.ndarray]]

    @classmethod
    def of(cls, photos: list[Image.Image]) -> Parts:
        greys = [working_copy(photo) for photo in photos]
        return cls([*map(hash_windows, greys)], [*map(pictures, greys)])

    def pairs(self, others: Parts | None = None) -> list[MatchedPair]:
        """Those among them, and with others, in one row of numbers."""
        hashes, shown = self.hashes, self.shown
        if others:
            hashes, shown = hashes + others.hashes, shown + others.shown

        def look(candidates: Sequence[EditCandidate]) -> Iterator[BlockMatch]:
            return (
                best_match(shown[it.first], shown[it.second], it.box_pairs) for it in candidates
            )

        return find_edited_copies(hashes, UnionFind(len(hashes)), [False] * len(hashes), look)


def by_parts(
    originals: Parts, copies: Parts, known: set[tuple[int, int]]
) -> tuple[float, float, int]:
    """The shares of copies found and only suspected, and how often another photo is said to be one.

    known: pairs among the originals, whose copies are copies of one another as well.
    """
    count = len(originals.hashes)
    sure: set[int] = set()
    unsure: set[int] = set()
    others = 0
    for pair in originals.pairs(copies):
        first, second = pair.first % count, pair.second % count
        if first == second:
            (sure if pair.match.is_copy else unsure).add(first)
        elif pair.match.is_copy and (min(first, second), max(first, second)) not in known:
            others += 1
    return len(sure) / count, len(unsure - sure) / count, others


def by_vectors(originals: PhotoSet, copies: PhotoSet, space: Standardizer) -> tuple[float, int]:
    """The same, by vectors."""
    pairs = find_vector_copies(copies, originals, space)
    right = {pair.photo for pair in pairs if pair.photo == pair.original}
    wrong = {pair.photo for pair in pairs} - right
    return len(right) / len(copies.vectors), len(wrong)


def main(folder: Path, step: int) -> None:
    """Print one row per edit, then the pairs that are there already."""
    paths = [file.path for file in find_files(folder, "") if file.has_photo_suffix][::step]
    opened = {path: open_photo(path) for path in paths}
    # Copies that are there already would be counted as other photos.
    unique = {hash_pixels(photo): path for path, photo in reversed(opened.items())}
    paths = sorted(unique.values())
    photos = [opened[path] for path in paths]
    params = read_section(Path("params.yaml"), "features", FeaturesParams)
    network, recipe = make_network(params)
    seen = look_at(photos, "train", network, params.size_px)
    space = Standardizer.fit(seen.vectors[:, None], recipe.widths)
    print(f"{len(photos)} different photos\n")
    parts = Parts.of(photos)
    pairs = parts.pairs()
    known = {(pair.first, pair.second) for pair in pairs}
    print("| edit | by hash | others | by parts | suspected | others | by vectors | others |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, edit in {**EDITS, **CROPS, **OVERLAYS}.items():
        copies = [edit(photo) for photo in photos]
        hashed, mixed = by_hash(photos, copies)
        near, other = by_vectors(seen, look_at(copies, "test", network, params.size_px), space)
        sure, unsure, wrong = by_parts(parts, Parts.of(copies), known)
        found = f"{hashed:.1%} | {mixed} | {sure:.1%} | {unsure:.1%} | {wrong}"
        print(f"| {name} | {found} | {near:.1%} | {other} |", flush=True)
    labels = find_near_duplicates([fingerprint(photo) for photo in photos], DISTANCE).labels()
    for number, label in enumerate(labels.tolist()):
        if label != number:
            print(f"by hash: {paths[number]} and {paths[label]}")
    for edited in pairs:
        how = "copy" if edited.match.is_copy else "suspected"
        print(f"by parts ({how}): {paths[edited.second]} and {paths[edited.first]}")
    for pair in find_vector_copies(seen, None, space):
        print(f"by vectors ({pair.similarity:.3f}): {paths[pair.photo]} and {paths[pair.original]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
