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

from carbrand.checks.copies.block_match import NO_BLOCK_MATCH, BlockMatch, match
from carbrand.checks.copies.edit_candidates import BoxPair, EditCandidate, find_edit_candidates
from carbrand.checks.copies.fingerprint import working_copy
from carbrand.checks.copies.window_hash import TRANSFORMS, pictures
from carbrand.photos.photo import open_photo
from carbrand.photos.photo_limits import MAX_PIXELS
from carbrand.photos.union_find import UnionFind

# Pairs that are looked at before what they say is used for the next.
_CHUNK_SIZE = 1024
# Photos of which the pictures are held for the next pair.
_OPEN = 16


@dataclass(frozen=True)
class MatchedPair:
    """Two photos, by number, the first before the second, and how well they match."""

    first: int
    second: int
    match: BlockMatch


# How well the photos of each candidate match, in their order.
Look = Callable[[Sequence[EditCandidate]], Iterable[BlockMatch]]


def find_edited_copies(
    photos: Sequence[np.ndarray], known: UnionFind, learned: Sequence[bool], look: Look
) -> list[MatchedPair]:
    """Pairs that match, but for those that `known` holds together already.

    `learned`: which of the photos are for training. Pairs of these come first, and no test photo
    between two of them spares the look. Copies are joined in `known`.
    """
    candidates = find_edit_candidates(photos)
    in_training = [it for it in candidates if learned[it.first] and learned[it.second]]
    with_tests = [it for it in candidates if not (learned[it.first] and learned[it.second])]
    apart = _without_tests(known, learned)
    found = _match_candidates(in_training, apart, look)
    for pair in found:
        if pair.match.is_copy:
            known.union(np.array([pair.first]), np.array([pair.second]))
    return found + _match_candidates(with_tests, known, look)


def _without_tests(known: UnionFind, learned: Sequence[bool]) -> UnionFind:
    """`known` without the clusters in which there are test photos."""
    labels = known.labels()
    alone = np.isin(labels, labels[~np.array(learned, bool)], invert=True)
    clusters = UnionFind(len(labels))
    clusters.union(np.flatnonzero(alone), labels[alone])
    return clusters


def _match_candidates(
    candidates: Sequence[EditCandidate], known: UnionFind, look: Look
) -> list[MatchedPair]:
    """Those that match; copies are joined in `known`, so that of many each is looked at once."""
    found = []
    for start in range(0, len(candidates), _CHUNK_SIZE):
        labels = known.labels()
        waiting = [
            it
            for it in candidates[start : start + _CHUNK_SIZE]
            if labels[it.first] != labels[it.second]
        ]
        for candidate, result in zip(waiting, look(waiting), strict=True):
            if result.is_suspicious:
                found.append(MatchedPair(candidate.first, candidate.second, result))
            if result.is_copy:
                known.union(np.array([candidate.first]), np.array([candidate.second]))
    return found


def match_files(
    paths: tuple[str, str, tuple[BoxPair, ...]], max_pixels: int = MAX_PIXELS
) -> BlockMatch:
    """How well two photos match, by their paths. Raises UnreadablePhoto."""
    first, second, box_pairs = paths
    return best_match(_pictures(first, max_pixels), _pictures(second, max_pixels), box_pairs)


@lru_cache(maxsize=_OPEN)
def _pictures(path: str, max_pixels: int) -> list[np.ndarray]:
    return pictures(working_copy(open_photo(path, max_pixels=max_pixels)))


def best_match(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], box_pairs: Iterable[BoxPair]
) -> BlockMatch:
    """Of the box_pairs the first that proves a copy, or else the best.

    `first` and `second` are the pictures of two photos, by box.
    """
    best = NO_BLOCK_MATCH
    for box_pair in box_pairs:
        a, b = first[box_pair.first_box], second[box_pair.second_box]
        version = TRANSFORMS[box_pair.version]
        changed, other = (a, b) if box_pair.changed_first else (b, a)
        found = match(version.of_picture(changed), other)
        if found.is_copy:
            return found
        best = max(best, found, key=lambda found: found.share)
    return best
