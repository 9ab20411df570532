"""Finds near-duplicates: re-encoded, resized, mirrored, with a border, with other brightness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from carbrand.checks.copies.fingerprint import Fingerprint
from carbrand.checks.copies.hash_search import find_hamming_neighbours
from carbrand.photos.similarity import measure_similarity, standardized
from carbrand.photos.union_find import UnionFind

# Of the signatures of two photos whose hashes are near. Copies of JPEG quality 10, 40 % brighter or
# of half the size have at least 0.945; different photos of the article's and the drawn set with
# near hashes at most 0.87 (LOG.md).
MIN_CORRELATION = 0.93
# Of two photos that both show a border, which makes them look similar.
MIN_CORRELATION_WITH_BORDERS = 0.99
# Of signatures at half the resolution, as a fast filter: smoothing increases correlation.
_MIN_COARSE_CORRELATION = 0.9
# Pairs of signatures compared at a time: 50 MB.
_CHUNK_SIZE = 1024
# Rounds in which signatures of one hash are grouped; those left over are all looked up.
_ROUNDS = 4


def find_near_duplicates(photos: Sequence[Sequence[Fingerprint]], distance: int) -> UnionFind:
    """Cluster photos, by index, that have fingerprints within a Hamming distance, mirrored or not,
    whose signatures correlate.
    """
    clusters = UnionFind(len(photos))
    owners = np.array(
        [number for number, fingerprints in enumerate(photos) for _ in fingerprints], np.int64
    )
    if not len(owners):
        return clusters
    fingerprints = [item for own in photos for item in own]
    hashes = np.array([item.phash for item in fingerprints], np.uint64)
    mirrored = np.array([item.mirrored_phash for item in fingerprints], np.uint64)
    signatures = np.stack([item.signature for item in fingerprints])
    bordered = np.array([item.bordered for item in fingerprints])

    coarse = _coarse(signatures)

    def confirm(first: np.ndarray, second: np.ndarray, flipped: bool) -> None:
        """Merge the photos of fingerprints first[i] and second[i] if their signatures agree."""
        new = clusters.are_separate(owners[first], owners[second])
        first, second = first[new], second[new]
        for start in range(0, len(first), _CHUNK_SIZE):
            a, b = first[start : start + _CHUNK_SIZE], second[start : start + _CHUNK_SIZE]
            new = clusters.are_separate(
                owners[a], owners[b]
            )  # the chunk before may have joined them
            a, b = a[new], b[new]
            # A fast filter, which drops nearly all pairs that are no copies at a tenth of the cost.
            rough = (coarse[a][:, :, ::-1] if flipped else coarse[a]) * coarse[b]
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
    """The fingerprints to look up: one of each group with equal hashes and similar signatures.

    So a thousand equal photos do not make a million pairs, and different photos of one hash are all
    compared.
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


def _coarse(signatures: np.ndarray) -> np.ndarray:
    """(n, s / 2, s / 2) float32: standardized at half the resolution; products are correlations."""
    n, size, _ = signatures.shape
    coarse = np.empty((n, size // 2, size // 2), np.float32)
    for start in range(0, n, _CHUNK_SIZE):  # in pieces, for the sake of memory
        part = signatures[start : start + _CHUNK_SIZE].astype(np.float32)
        halved = part.reshape(-1, size // 2, 2, size // 2, 2).mean(axis=(2, 4))
        coarse[start : start + _CHUNK_SIZE] = standardized(halved)
    return coarse
