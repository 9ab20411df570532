"""Which unlabelled photos are worth a label: unsure ones that are unlike those with a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.model.observation import unit_vectors
from carbrand.scores.files.predictions_file import PROBABILITY_DECIMALS

UNSURE, UNKNOWN = "unsure", "unknown"
# Photos of the pool that say whether one is typical of it.
NEIGHBOURS = 5
# Rows of distances at a time.
_BLOCK = 1024
# Bits of 64 by which the perceptual hashes of copies may differ. Copies that were mirrored or
# cropped are not found so; being near one another, few of them are chosen.
COPY_BITS = 6


@dataclass(frozen=True)
class Suggestion:
    """A photo. why: `unsure` or `unknown`. second: the brand that is second likeliest."""

    path: str
    why: str
    predicted: str
    confidence: float
    second: str
    second_confidence: float


def margins(probabilities: np.ndarray) -> np.ndarray:
    """(n,): how much likelier the likeliest brand is than the second, of (n, brands)."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return first - second


def choose(
    probabilities: np.ndarray, vectors: np.ndarray, learned: np.ndarray, count: int
) -> list[int]:
    """At most `count` rows of (n, brands) and (n, d), the most useful first.

    Greedy: the next photo has the largest product of how unsure the model is (the root of 1 less
    the margin) and of how far it is from all that are learned or chosen (k-center: Sener and
    Savarese 2018), in multiples of how far it is from its neighbours in the pool: typical photos
    teach more than odd ones where labels are few (Hacohen, Dekel and Weinshall 2022).
    learned (m, d).
    """
    pool, known = unit_vectors(vectors), unit_vectors(learned)
    space = _distances(pool, known).min(axis=1)
    worth = np.sqrt(1 - margins(probabilities)) / _crowding(pool)
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        score = worth * space
        score[chosen] = -1.0
        chosen.append(int(score.argmax()))
        space = np.minimum(space, _distances(pool, pool[chosen[-1:]])[:, 0])
    return chosen


def _crowding(pool: np.ndarray) -> np.ndarray:
    """(n,): the mean distance to the NEIGHBOURS nearest photos of the pool."""
    nearest = [
        np.sort(_distances(pool[start : start + _BLOCK], pool), axis=1)[:, 1 : NEIGHBOURS + 1]
        for start in range(0, len(pool), _BLOCK)
    ]
    # Alone, or among equals, a photo counts as near to nothing.
    return np.maximum(np.concatenate(nearest).mean(axis=1), 1e-3) if len(pool) > 1 else np.ones(1)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m), of (n, d) and (m, d) with norm 1."""
    return np.sqrt(np.maximum(2 - 2 * a @ b.T, 0))


def find_copies(hashes: Sequence[int], known: Sequence[int]) -> set[int]:
    """The rows of `hashes` that are near one of `known`, or near an earlier row."""
    seen = np.array(known, dtype=np.uint64)
    copies = set()
    for row, value in enumerate(hashes):
        bits = np.bitwise_xor(seen, np.uint64(value))[:, None].view(np.uint8)
        if len(bits) and np.unpackbits(bits, axis=1).sum(axis=1).min() <= COPY_BITS:
            copies.add(row)
        else:
            seen = np.append(seen, np.uint64(value))
    return copies


@dataclass(frozen=True)
class Pool:
    """Unlabelled photos by row.

    hashes: 64-bit perceptual ones. probabilities (n, brands), vectors (n, d): as in Prediction.
    unknown (n,) bool.
    """

    paths: list[str]
    hashes: list[int]
    probabilities: np.ndarray
    vectors: np.ndarray
    unknown: np.ndarray

    def without_copies(self, known: Sequence[int]) -> Pool:
        """The photos that are no copies of one another, or of photos with `known` hashes."""
        copies = find_copies(self.hashes, known)
        return self.select([row for row in range(len(self.paths)) if row not in copies])

    def select(self, rows: Sequence[int]) -> Pool:
        """The photos of these rows."""
        index = np.array(rows, dtype=int)
        return Pool(
            [self.paths[row] for row in rows],
            [self.hashes[row] for row in rows],
            self.probabilities[index],
            self.vectors[index],
            self.unknown[index],
        )


def suggest(pool: Pool, brands: Sequence[str], learned: np.ndarray, count: int) -> list[Suggestion]:
    """The `count` photos that are worth a label most, the best first; then the unknown ones.

    Of unknown photos, at most `count` too. learned (m, d): vectors of the training photos.
    """
    suggestions = []
    for why, is_unknown in ((UNSURE, False), (UNKNOWN, True)):
        part = pool.select(np.flatnonzero(pool.unknown == is_unknown).tolist())
        for row in choose(part.probabilities, part.vectors, learned, count):
            order = np.argsort(-part.probabilities[row], kind="stable")[:2]
            first, second = (
                (brands[label], round(float(part.probabilities[row, label]), PROBABILITY_DECIMALS))
                for label in order
            )
            suggestions.append(Suggestion(part.paths[row], why, *first, *second))
    return suggestions
