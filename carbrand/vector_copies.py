"""Copies that show only in the vectors of a backbone: crops, heavy edits.

The nearest neighbours of a photo among the vectors are candidates; one is a copy when it can be
laid over a part of the other (carbrand/alignment.py). Vectors alone would take two photos of one
model of car for copies; overlays alone would have to try every pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from carbrand.alignment import align

# Candidates per photo. On the article's and the drawn photos the original of a crop to 80 %, a
# mirrored, framed or brighter copy is always the nearest; a crop that was also halved and
# compressed to quality 60 is among the nearest three in 95 % (LOG.md).
_CANDIDATES = 5
# Cosine of centred vectors. Of different photos 1 % are nearer than this, of the copies above none
# is farther but some that were cropped and halved.
_LEAST_COSINE = 0.35
# Rows of a block of the matrix product: 16 MB of cosines, whatever the number of photos.
_BLOCK = 2048


@dataclass(frozen=True)
class PhotoSet:
    """What the search needs of photos, all by row.

    vectors: (n, d) float32; thumbnails: (n, s, s) uint8, `alignment.grey_thumbnail` of the photos;
    aspects: (n,) width / height of the photos.
    """

    vectors: np.ndarray
    thumbnails: np.ndarray
    aspects: np.ndarray


@dataclass(frozen=True)
class Space:
    """Where the middle of the training photos is, and how far each kind of feature spreads."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, blocks: int) -> Space:
        """`vectors` (n, d); `blocks`: how many kinds of features they hold side by side."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        spread = vectors.var(axis=0, dtype=np.float64).reshape(blocks, -1).sum(axis=1)
        lengths = np.sqrt(np.where(spread > 0, spread, 1.0))
        scale = np.repeat(lengths, vectors.shape[1] // blocks)
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def directions(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) float32 of length 1: their products are cosines about the middle."""
        centred = (vectors - self.mean) / self.scale
        lengths = np.sqrt((centred**2).sum(axis=1, keepdims=True))
        return centred / np.where(lengths > 0, lengths, 1.0)


@dataclass(frozen=True)
class Pair:
    """Rows of two photos that show the same, and how well one can be laid over the other."""

    photo: int
    original: int
    similarity: float
    mirrored: bool


def find_copies(photos: PhotoSet, originals: PhotoSet | None, space: Space) -> list[Pair]:
    """Which of the photos are copies of which originals, sorted by rows.

    Without `originals` the photos are searched among themselves: the later of two is the copy.
    """
    inside = originals is None
    others = photos if originals is None else originals
    found = set()
    for row, other in _candidates(photos.vectors, others.vectors, space, inside):
        if inside and row < other:
            row, other = other, row
        found.add((row, other))
    copies: list[Pair] = []
    for row, other in sorted(found):
        overlay = align(
            photos.thumbnails[row],
            others.thumbnails[other],
            float(photos.aspects[row]),
            float(others.aspects[other]),
        )
        if overlay.agrees:
            copies.append(Pair(row, other, overlay.similarity, overlay.mirrored))
    return copies


def _candidates(
    vectors: np.ndarray, others: np.ndarray, space: Space, inside: bool
) -> Iterator[tuple[int, int]]:
    """(row, other) for the nearest others of each row, unless they are far.

    Every row is compared with every other, block by block: this grows with the square of the number
    of photos, at little cost each. (The overlays that follow take some 25 ms a photo.)
    """
    for start in range(0, len(vectors), _BLOCK):
        queries = space.directions(vectors[start : start + _BLOCK])
        values, places = [], []
        for begin in range(0, len(others), _BLOCK):
            cosines = queries @ space.directions(others[begin : begin + _BLOCK]).T
            if inside and begin == start:
                np.fill_diagonal(cosines, -1.0)
            top = _largest(cosines)
            values.append(np.take_along_axis(cosines, top, axis=1))
            places.append(begin + top)
        cosines, numbers = np.concatenate(values, axis=1), np.concatenate(places, axis=1)
        top = _largest(cosines)
        near = np.take_along_axis(cosines, top, axis=1) >= _LEAST_COSINE
        nearest = np.take_along_axis(numbers, top, axis=1)
        for row, rank in zip(*np.nonzero(near), strict=True):
            yield start + int(row), int(nearest[row, rank])


def _largest(cosines: np.ndarray) -> np.ndarray:
    """The columns of the largest values of each row, (n, at most _CANDIDATES)."""
    if cosines.shape[1] <= _CANDIDATES:
        return np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
    return np.argpartition(-cosines, _CANDIDATES - 1, axis=1)[:, :_CANDIDATES]
