"""Which photos are versions of one another: saved anew, resized, mirrored, framed, brighter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from carbrand.checks.copies.fingerprint import Frame
from carbrand.checks.copies.hash_search import find_near
from carbrand.photos.clusters import Clusters
from carbrand.photos.likeness import measure_likeness, standardized

# Of the grey pictures of two photos whose hashes are near. Copies that were compressed to JPEG
# quality 10, made brighter by 40 % or halved in size have at least 0.945; different photos of the
# article's and the drawn set with near hashes at most 0.87 (LOG.md).
LEAST_CORRELATION = 0.93
# Of two photos that both show a border: what is in the same frame looks alike.
LEAST_WITH_BORDERS = 0.99
# Of pictures half as fine, for a first look: smoother ones agree more, not less.
_LEAST_OUTLINE = 0.9
# Pairs of pictures compared at once: 50 MB.
_AT_ONCE = 1024
# Different pictures of one hash that are told apart; more than that are all looked up.
_ROUNDS = 4


def find_near_duplicates(photos: Sequence[Sequence[Frame]], distance: int) -> Clusters:
    """Clusters of photos, by their index, whose frames differ in at most `distance` bits of hash,
    mirrored or not, and whose grey pictures agree.
    """
    clusters = Clusters(len(photos))
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
        new = clusters.apart(owners[first], owners[second])
        first, second = first[new], second[new]
        for start in range(0, len(first), _AT_ONCE):
            a, b = first[start : start + _AT_ONCE], second[start : start + _AT_ONCE]
            new = clusters.apart(owners[a], owners[b])  # the chunk before may have joined them
            a, b = a[new], b[new]
            # Nearly all pairs that only share a hash are out by this, at a tenth of the cost.
            rough = (outlines[a][:, :, ::-1] if flipped else outlines[a]) * outlines[b]
            alike = rough.sum(axis=(1, 2)) >= _LEAST_OUTLINE
            a, b = a[alike], b[alike]
            pictures = signatures[a][:, :, ::-1] if flipped else signatures[a]
            least = np.where(bordered[a] & bordered[b], LEAST_WITH_BORDERS, LEAST_CORRELATION)
            agree = measure_likeness(pictures, signatures[b]).at_least(least)
            clusters.join(owners[a[agree]], owners[b[agree]])

    firsts = _unlike_of_equal_hash(hashes, owners, clusters, confirm)
    for a, b in find_near(hashes[firsts], hashes[firsts], distance):
        confirm(firsts[a], firsts[b], flipped=False)
    for a, b in find_near(mirrored[firsts], hashes[firsts], distance):
        confirm(firsts[a], firsts[b], flipped=True)
    return clusters


def _unlike_of_equal_hash(
    hashes: np.ndarray,
    owners: np.ndarray,
    clusters: Clusters,
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
        waiting = waiting[clusters.apart(owners[waiting], owners[firsts])]
    return np.concatenate([*chosen, waiting])


def _outlines(signatures: np.ndarray) -> np.ndarray:
    """(n, s / 2, s / 2) float32: pictures half as fine, their products correlations."""
    n, size, _ = signatures.shape
    outlines = np.empty((n, size // 2, size // 2), np.float32)
    for start in range(0, n, _AT_ONCE):  # in pieces, for the sake of memory
        part = signatures[start : start + _AT_ONCE].astype(np.float32)
        halved = part.reshape(-1, size // 2, 2, size // 2, 2).mean(axis=(2, 4))
        outlines[start : start + _AT_ONCE] = standardized(halved)
    return outlines
