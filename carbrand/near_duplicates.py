"""Which photos are versions of one another: saved anew, resized, mirrored, framed, brighter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carbrand.clusters import Clusters
from carbrand.fingerprint import Frame
from carbrand.hash_search import find_near
from carbrand.likeness import compare

# Of the grey pictures of two photos whose hashes are near. Copies that were compressed to JPEG
# quality 10, made brighter by 40 % or halved in size have at least 0.945; different photos of the
# article's and the drawn set with near hashes at most 0.87 (LOG.md).
LEAST_CORRELATION = 0.93
# Of two photos that both show a border: what is in the same frame looks alike.
LEAST_WITH_BORDERS = 0.99


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

    def confirm(a: np.ndarray, b: np.ndarray, flipped: bool) -> None:
        """Join the owners of frames a and b, (n,) indices each, where their pictures agree."""
        new = clusters.apart(owners[a], owners[b])
        a, b = a[new], b[new]
        pictures = signatures[a][:, :, ::-1] if flipped else signatures[a]
        least = np.where(bordered[a] & bordered[b], LEAST_WITH_BORDERS, LEAST_CORRELATION)
        agree = compare(pictures, signatures[b]).at_least(least)
        clusters.join(owners[a[agree]], owners[b[agree]])

    # Frames of equal hash are compared with the first of them and with the next. Only that first
    # one is looked up then: a thousand equal photos do not make a million pairs.
    order = np.argsort(hashes, kind="stable")
    values, starts, sizes = np.unique(hashes[order], return_index=True, return_counts=True)
    confirm(order, order[np.repeat(starts, sizes)], flipped=False)
    confirm(order[:-1], order[1:], flipped=False)
    firsts = order[starts]
    for a, b in find_near(values, values, distance):
        confirm(firsts[a], firsts[b], flipped=False)
    for a, b in find_near(mirrored[firsts], values, distance):
        confirm(firsts[a], firsts[b], flipped=True)
    return clusters
