"""Finds copies by vectors of a backbone: crops and heavy edits, which hashes miss.

Nearest neighbours among the vectors are candidates; a candidate is a copy if one photo can be
aligned with a part of the other (alignment.py). Vectors alone would take two photos of one car
model for copies; alignment alone would have to try every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from carbrand.parallel.batches import prefetch_map, usable_cores
from carbrand.parallel.one_thread import one_thread
from carbrand.parallel.pool import parallel_map
from carbrand.photos.copies_file import Copy
from carbrand.photos.manifest import Row
from carbrand.photos.union_find import UnionFind
from carbrand.vectors.alignment import Alignment, align
from carbrand.vectors.array_file import iter_rows, release_pages
from carbrand.vectors.standardizer import Standardizer

# Neighbours per photo. In the article's and the drawn photos, the original of a crop to 80 %, a
# mirrored, framed or brighter copy is always the nearest; that of a crop of half the size and JPEG
# quality 60 is among the nearest three in 95 % (LOG.md).
_CANDIDATES = 5
# Cosine similarity. 1 % of different photos exceed it; all copies above do, except for some that
# were cropped and halved.
_MIN_COSINE = 0.35
# Rows per block of the matrix product: 16 MB of cosines.
_BLOCK = 2048


@dataclass(frozen=True)
class PhotoSet:
    """Photos by row of the manifest.

    vectors: (n, d) float32. thumbnails: (n, s, s) uint8, from `grey_thumbnail`. Both may be memory
    maps.
    """

    rows: Sequence[Row]
    vectors: np.ndarray
    thumbnails: np.ndarray


@dataclass(frozen=True)
class AlignedPair:
    """Rows of a copy and its original, and how well they align."""

    photo: int
    original: int
    similarity: float
    mirrored: bool

    def as_copy(self, photos: Sequence[Row], originals: Sequence[Row], issue: str) -> Copy:
        """The pair by paths. photos, originals: what the numbers are rows of."""
        paths = photos[self.photo].path, originals[self.original].path
        return Copy(*paths, issue, self.similarity, self.mirrored)


# Rows of a photo and a possible original.
RowPair = tuple[int, int]
# A photo's thumbnail, and its width / height.
Thumbnail = tuple[np.ndarray, float]


def align_pairs(
    photos: PhotoSet, originals: PhotoSet, candidates: Sequence[RowPair]
) -> Iterator[Alignment]:
    """Align the photos of each candidate, on all cores."""
    parts = _thumbnails(photos, [row for row, _ in candidates])
    others = _thumbnails(originals, [other for _, other in candidates])
    return parallel_map(_align_pair, zip(parts, others, strict=True))


def find_vector_copies(
    photos: PhotoSet,
    originals: PhotoSet | None,
    space: Standardizer,
    align_all: Callable[[PhotoSet, PhotoSet, Sequence[RowPair]], Iterator[Alignment]] = align_pairs,
) -> list[AlignedPair]:
    """Find copies that hashes did not find, sorted by rows.

    originals: None to search among `photos`: the later of two is the copy. align_all: replaces
    `align_pairs`, for a cache.
    """
    inside = originals is None
    others = photos if originals is None else originals
    found = set()
    with one_thread():
        for row, other in _candidates(photos.vectors, others.vectors, space, inside):
            if inside and row < other:
                row, other = other, row
            if _is_new(photos.rows[row], others.rows[other]):
                found.add((row, other))
    candidates = sorted(found)
    return [
        AlignedPair(row, other, alignment.similarity, alignment.mirrored)
        for (row, other), alignment in zip(
            candidates, align_all(photos, others, candidates), strict=True
        )
        if alignment.agrees
    ]


def describe_training_copies(rows: Sequence[Row], pairs: Sequence[AlignedPair]) -> list[Copy]:
    """Pairs of training photos: a `duplicate` within a brand, or else a `label_conflict`."""
    issues = (
        "duplicate" if rows[pair.photo].brand == rows[pair.original].brand else "label_conflict"
        for pair in pairs
    )
    return [pair.as_copy(rows, rows, issue) for pair, issue in zip(pairs, issues, strict=True)]


def group_copies(rows: Sequence[Row], pairs: Sequence[AlignedPair]) -> list[str]:
    """The group of each photo, by hashes and by vectors: the path of the first photo in it."""
    clusters = UnionFind(len(rows))
    first: dict[str, int] = {}
    clusters.join((first.setdefault(row.hash_group, n), n) for n, row in enumerate(rows))
    clusters.join((pair.photo, pair.original) for pair in pairs)
    return [rows[label].path for label in clusters.labels()]


def _is_new(photo: Row, original: Row) -> bool:
    """Whether the pair is not known from hashes, as copies or because both are leaked."""
    both_seen = photo.leaked and (original.leaked or original.split == "train")
    return photo.hash_group != original.hash_group and not both_seen


def _thumbnails(photos: PhotoSet, rows: Sequence[int]) -> Iterator[Thumbnail]:
    aspects = (photos.rows[row].width / photos.rows[row].height for row in rows)
    return zip(iter_rows(photos.thumbnails, rows), aspects, strict=True)


def _align_pair(pair: tuple[Thumbnail, Thumbnail]) -> Alignment:
    (thumbnail, aspect), (other, other_aspect) = pair
    return align(thumbnail, other, aspect, other_aspect)


def _candidates(
    vectors: np.ndarray, others: np.ndarray, space: Standardizer, inside: bool
) -> Iterator[RowPair]:
    """Yield (row, other) for the nearest neighbours of each row that are near enough.

    Brute force, block by block: quadratic in the number of photos, but cheap. (The alignments that
    follow take some 25 ms per photo and core.)
    """
    nearest = partial(_nearest, vectors=vectors, others=others, space=space, inside=inside)
    for pairs in prefetch_map(nearest, range(0, len(vectors), _BLOCK), ahead=usable_cores()):
        yield from pairs


def _nearest(
    start: int, vectors: np.ndarray, others: np.ndarray, space: Standardizer, inside: bool
) -> list[RowPair]:
    """The candidates of one block of rows."""
    queries = space.unit_vectors(vectors[start : start + _BLOCK])
    release_pages(vectors)
    values, places = [], []
    for begin in range(0, len(others), _BLOCK):
        cosines = queries @ space.unit_vectors(others[begin : begin + _BLOCK]).T
        if inside and begin == start:
            np.fill_diagonal(cosines, -1.0)
        top = _largest(cosines)
        values.append(np.take_along_axis(cosines, top, axis=1))
        places.append(begin + top)
        release_pages(others)
    cosines, numbers = np.concatenate(values, axis=1), np.concatenate(places, axis=1)
    top = _largest(cosines)
    near = np.take_along_axis(cosines, top, axis=1) >= _MIN_COSINE
    nearest = np.take_along_axis(numbers, top, axis=1)
    return [
        (start + int(row), int(nearest[row, rank]))
        for row, rank in zip(*np.nonzero(near), strict=True)
    ]


def _largest(cosines: np.ndarray) -> np.ndarray:
    """(n, k): the columns of the k largest values of each row; k: at most _CANDIDATES."""
    if cosines.shape[1] <= _CANDIDATES:
        return np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
    return np.argpartition(-cosines, _CANDIDATES - 1, axis=1)[:, :_CANDIDATES]
