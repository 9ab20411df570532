"""Finds edited copies: with a caption or a logo, rotated, mirrored, negative, in a screenshot.

Candidates have a window of nearly the same hash (edit_candidates.py); block matching confirms them
(block_match.py). Only candidates are decoded again, so memory holds nothing but hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from carbrand.checks.copies.block_match import NO_BLOCK_MATCH, BlockMatch, match_blocks
from carbrand.checks.copies.edit_candidates import BoxPair, EditCandidate, find_edit_candidates
from carbrand.checks.copies.fingerprint import working_copy
from carbrand.checks.copies.window_hash import TRANSFORMS, pictures
from carbrand.photos.photo import open_photo
from carbrand.photos.photo_limits import MAX_PIXELS
from carbrand.photos.union_find import UnionFind

# Pairs matched before their result is used for the next ones.
_CHUNK_SIZE = 1024
# Decoded photos kept for the next pairs.
_OPEN = 16


@dataclass(frozen=True)
class MatchedPair:
    """Two photos, by number, the first before the second, and how well they match."""

    first: int
    second: int
    match: BlockMatch


# Matches the photos of candidates, in their order.
MatchAll = Callable[[Sequence[EditCandidate]], Iterable[BlockMatch]]


def find_edited_copies(
    photos: Sequence[np.ndarray], known: UnionFind, is_training: Sequence[bool], match_all: MatchAll
) -> list[MatchedPair]:
    """Find pairs of photos that match, except for those that are in one cluster of `known`.

    photos: the HASHes of each. Pairs of training photos come first and do not depend on any test
    photo. Copies are merged in `known`.
    """
    candidates = find_edit_candidates(photos)
    of_training = [it for it in candidates if is_training[it.first] and is_training[it.second]]
    with_tests = [it for it in candidates if not (is_training[it.first] and is_training[it.second])]
    apart = _without_tests(known, is_training)
    found = _match_candidates(of_training, apart, match_all)
    known.join((pair.first, pair.second) for pair in found if pair.match.is_copy)
    return found + _match_candidates(with_tests, known, match_all)


def _without_tests(known: UnionFind, is_training: Sequence[bool]) -> UnionFind:
    """`known` without the clusters that contain test photos."""
    labels = known.labels()
    alone = np.isin(labels, labels[~np.array(is_training, bool)], invert=True)
    clusters = UnionFind(len(labels))
    clusters.union(np.flatnonzero(alone), labels[alone])
    return clusters


def _match_candidates(
    candidates: Sequence[EditCandidate], known: UnionFind, match_all: MatchAll
) -> list[MatchedPair]:
    """Match candidates in chunks, and skip those that earlier copies joined in `known`."""
    found = []
    for start in range(0, len(candidates), _CHUNK_SIZE):
        labels = known.labels()
        waiting = [
            it
            for it in candidates[start : start + _CHUNK_SIZE]
            if labels[it.first] != labels[it.second]
        ]
        for candidate, result in zip(waiting, match_all(waiting), strict=True):
            if result.is_suspicious:
                found.append(MatchedPair(candidate.first, candidate.second, result))
            if result.is_copy:
                known.join([(candidate.first, candidate.second)])
    return found


def match_files(
    paths: tuple[str, str, tuple[BoxPair, ...]], max_pixels: int = MAX_PIXELS
) -> BlockMatch:
    """Match two photos: two paths, and the boxes to compare. Raises UnreadablePhoto."""
    first, second, box_pairs = paths
    return best_match(_pictures(first, max_pixels), _pictures(second, max_pixels), box_pairs)


@lru_cache(maxsize=_OPEN)
def _pictures(path: str, max_pixels: int) -> list[np.ndarray]:
    return pictures(working_copy(open_photo(path, max_pixels=max_pixels)))


def best_match(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], box_pairs: Iterable[BoxPair]
) -> BlockMatch:
    """The first match that is a copy, or else the best. first, second: images by content box."""
    best = NO_BLOCK_MATCH
    for box_pair in box_pairs:
        a, b = first[box_pair.first_box], second[box_pair.second_box]
        moving, fixed = (a, b) if box_pair.transform_first else (b, a)
        found = match_blocks(TRANSFORMS[box_pair.transform].of_image(moving), fixed)
        if found.is_copy:
            return found
        best = max(best, found, key=lambda found: found.share)
    return best
