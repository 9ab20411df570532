"""Which photos are edited copies of others: with a caption or a logo, tilted, turned, a negative,
on a screenshot.

A window without the edit has nearly the same hash (edit_candidates.py); a close look at
both photos confirms it, block by block (block_match.py). For that they are opened again,
so that nothing but hashes is held of all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from carbrand.checks.copies.block_match import NO_MATCH, Match, match
from carbrand.checks.copies.edit_candidates import Candidate, Overlay, find_candidates
from carbrand.checks.copies.fingerprint import working_copy
from carbrand.checks.copies.window_hash import VERSIONS, pictures
from carbrand.photos.clusters import Clusters
from carbrand.photos.photo import open_photo
from carbrand.photos.photo_limits import MAX_PIXELS

# Pairs that are looked at before what they say is used for the next.
_AT_ONCE = 1024
# Photos of which the pictures are held for the next pair.
_OPEN = 16


@dataclass(frozen=True)
class EditedPair:
    """Two photos, by number, the first before the second, and how well they match."""

    first: int
    second: int
    match: Match


# How well the photos of each candidate match, in their order.
Look = Callable[[Sequence[Candidate]], Iterable[Match]]


def find_edited(
    photos: Sequence[np.ndarray], known: Clusters, learned: Sequence[bool], look: Look
) -> list[EditedPair]:
    """Pairs that match, but for those that `known` holds together already.

    `learned`: which of the photos are for training. Pairs of these come first, and no test photo
    between two of them spares the look. Copies are joined in `known`.
    """
    candidates = find_candidates(photos)
    in_training = [it for it in candidates if learned[it.first] and learned[it.second]]
    with_tests = [it for it in candidates if not (learned[it.first] and learned[it.second])]
    apart = _without_tests(known, learned)
    found = _look_through(in_training, apart, look)
    for pair in found:
        if pair.match.is_copy:
            known.join(np.array([pair.first]), np.array([pair.second]))
    return found + _look_through(with_tests, known, look)


def _without_tests(known: Clusters, learned: Sequence[bool]) -> Clusters:
    """`known` without the clusters in which there are test photos."""
    labels = known.labels()
    alone = np.isin(labels, labels[~np.array(learned, bool)], invert=True)
    clusters = Clusters(len(labels))
    clusters.join(np.flatnonzero(alone), labels[alone])
    return clusters


def _look_through(candidates: Sequence[Candidate], known: Clusters, look: Look) -> list[EditedPair]:
    """Those that match; copies are joined in `known`, so that of many each is looked at once."""
    found = []
    for start in range(0, len(candidates), _AT_ONCE):
        labels = known.labels()
        waiting = [
            it
            for it in candidates[start : start + _AT_ONCE]
            if labels[it.first] != labels[it.second]
        ]
        for candidate, result in zip(waiting, look(waiting), strict=True):
            if result.is_suspicious:
                found.append(EditedPair(candidate.first, candidate.second, result))
            if result.is_copy:
                known.join(np.array([candidate.first]), np.array([candidate.second]))
    return found


def look_at_files(
    paths: tuple[str, str, tuple[Overlay, ...]], max_pixels: int = MAX_PIXELS
) -> Match:
    """How well two photos match, by their paths. Raises UnreadablePhoto."""
    first, second, overlays = paths
    return best_match(_pictures(first, max_pixels), _pictures(second, max_pixels), overlays)


@lru_cache(maxsize=_OPEN)
def _pictures(path: str, max_pixels: int) -> list[np.ndarray]:
    return pictures(working_copy(open_photo(path, max_pixels=max_pixels)))


def best_match(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], overlays: Iterable[Overlay]
) -> Match:
    """Of the overlays the first that proves a copy, or else the best.

    `first` and `second` are the pictures of two photos, by box.
    """
    best = NO_MATCH
    for overlay in overlays:
        a, b = first[overlay.first_box], second[overlay.second_box]
        version = VERSIONS[overlay.version]
        changed, other = (a, b) if overlay.changed_first else (b, a)
        found = match(version.of_picture(changed), other)
        if found.is_copy:
            return found
        best = max(best, found, key=lambda found: found.share)
    return best
