"""Which photos are versions of one another: saved anew, resized, mirrored, framed, brighter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from carbrand.checks.copies.fingerprint import Fingerprint
from carbrand.checks.copies.hash_search import find_hamming_neighbours
from carbrand.photos.similarity import measure_similarity, standardized
from carbrand.photos.union_find import UnionFind

# Of the grey pictures of two photos whose hashes are near. Copies that were compressed to JPEG
# quality 10, made brighter by 40 % or halved in size have at least 0.945; different photos of the
# article's and the drawn set with near hashes at most 0.87 (LOG.md).
MIN_CORRELATION = 0.93
# Of two photos that both show a border: what is in the same frame looks alike.
MIN_CORRELATION_WITH_BORDERS = 0.99
# Of pictures half as fine, for a first look: smoother ones agree more, not less.
_MIN_COARSE_CORRELATION = 0.9
# Pairs of pictures compared at once: 50 MB.
_CHUNK_SIZE = 1024
# Different pictures of one hash that are told apart; more than that are all looked up.
_ROUNDS = 4


def find_near_duplicates(photos: Sequence[Sequence[Fingerprint]], distance: int) -> UnionFind:
    """Clusters of photos, by their index, whose frames differ in at most `distance` bits of hash,
    mirrored or not, and whose grey pictures agree.
    """
    clusters = UnionFind(len(photos))
    owners = np.array([number for number, frames in enumerate(photos) for _ in frames], np.int64)
    if not len(owners):
        return clusters
    frames = [frame for own in photos for frame in own]
    hashes = np.array([frame.phash for frame in frames], np.uint64)
    mirrored = np.array([frame.mirrored_phash for frame in frames], np.uint64)
    signatures = np.stack([frame.signature for frame in frames])
    bordered = np.array([frame.bordered for frame in frames])

    outlines = _outlines(signatures)

    def confirm(first: np.ndarray, second: np.ndarray, flipped: bool) -> None:
        """Join the owners of frames, (n,) indices each, where their pictures agree."""
        new = clusters.are_separate(owners[first], owners[second])
        first, second = first[new], second[new]
        for start in range(0, len(first), _CHUNK_SIZE):
            a, b = first[start : start + _CHUNK_SIZE], second[start : start + _CHUNK_SIZE]
            new = clusters.are_separate(
                owners[a], owners[b]
            )  # the chunk before may have joined them
            a, b = a[new], b[new]
            # Nearly all pairs that only share a hash are out by this, at a tenth of the cost.
            rough = (outlines[a][:, :, ::-1] if flipped else outlines[a]) * outlines[b]
            alike = rough.sum(axis=(1, 2)) >= _MIN_COARSE_CORRELATION
            a, b = a[alike], b[alike]
            pictures = signatures[a][:, :, ::-1] if flipped else signatures[a]
            least = np.where(
                bordered[a] & bordered[b], MIN_CORRELATION_WITH_BORDERS, MIN_CORRELATION
            )
            agree = measure_similarity(pictures, signatures[b]).at_least(least)
            clusters.union(owners[a[agree]], owners[b[agree]])

    firsts = _unlike_of_equal_hash(hashes, owners, clusters, confirm)
    for a, b in find_hamming_neighbours(hashes[firsts], hashes[firsts], distance):
        confirm(firsts[a], firsts[b], flipped=False)
    for a, b in find_hamming_neighbours(mirrored[firsts], hashes[firsts], distance):
        confirm(firsts[a], firsts[b], flipped=True)
    return clusters


def _unlike_of_equal_hash(
    hashes: np.ndarray,
    owners: np.ndarray,
    clusters: UnionFind,
    confirm: Callable[[np.ndarray, np.ndarray, bool], None],
) -> np.ndarray:
    """The frames to look up: one for each picture, also where different pictures share a hash.

    So a thousand equal photos do not make a million pairs, and none is passed over.
    """
    chosen = []
    waiting = np.argsort(hashes, kind="stable")
    for _ in range(_ROUNDS):
        _, starts, sizes = np.unique(hashes[waiting], return_index=True, return_counts=True)
        firsts = np.repeat(waiting[starts], sizes)
        confirm(waiting, firsts, False)
        chosen.append(waiting[starts])
        waiting = waiting[clusters.are_separate(owners[waiting], owners[firsts])]
    return np.concatenate([*chosen, waiting])


def _outlines(signatures: np.ndarray) -> np.ndarray:
    """(n, s / 2, s / 2) float32: pictures half as fine, their products correlations."""
    n, size, _ = signatures.shape
    outlines = np.empty((n, size // 2, size // 2), np.float32)
    for start in range(0, n, _CHUNK_SIZE):  # in pieces, for the sake of memory
        part = signatures[start : start + _CHUNK_SIZE].astype(np.float32)
        halved = part.reshape(-1, size // 2, 2, size // 2, 2).mean(axis=(2, 4))
        outlines[start : start + _CHUNK_SIZE] = standardized(halved)
    return outlines
