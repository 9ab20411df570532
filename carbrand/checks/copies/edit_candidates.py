"""Candidate pairs of edited copies: photos with a window of nearly the same perceptual hash.

All transforms of each photo (rotated, mirrored, negative) are searched, without comparing all pairs
(hash_search.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.checks.copies.hash_search import find_hamming_neighbours, nearest_mask
from carbrand.checks.copies.window_hash import HASH, TRANSFORMS, WINDOWS, transposed

# Hamming distance. Up to 7, one of four substrings differs in at most one bit: a fast search.
_MAX_DISTANCE = 7
# Copies agree in several windows, other photos in one by chance, more often the more photos there
# are. Maximum distance of a pair that agrees in one window only: the first below 1,000 photos, one
# less from there on and at each doubling, at least the second.
_MAX_BITS_ALONE, _MIN_BITS_ALONE = 7, 3
# If all photos look alike (a fixed camera), each is compared with at most so many others,
_MAX_CANDIDATES = 8
# each pair by at most so many pairs of boxes,
_MAX_BOX_PAIRS = 4
# and of a hash that many photos share (the same wall, the same caption) at most so many are used.
_MAX_OF_ONE_HASH = 8
# Rows collected before all but the nearest candidates are dropped: 200 MB.
_MAX_ROWS = 2_000_000
# Groups of windows that mirroring maps to one another.
_SAME_SHAPE = ([0], [1], [2, 3], [4, 5])
# Columns of collected rows: two photos, the fields of a BoxPair, the Hamming distance, the number
# of windows that agree.
_COLUMNS = (
    *("first", "second", "transform", "first_box", "second_box", "transform_first"),
    *("bits", "windows"),
)


@dataclass(frozen=True)
class BoxPair:
    """Content boxes of two photos that may show the same after a transform of one of them.

    transform: its number in TRANSFORMS. transform_first: whether it is applied to the first photo.
    """

    first_box: int
    second_box: int
    transform: int
    transform_first: bool


@dataclass(frozen=True)
class EditCandidate:
    """Two photos, by number (first < second), and their boxes to compare, likeliest first."""

    first: int
    second: int
    box_pairs: tuple[BoxPair, ...]


def find_edit_candidates(photos: Sequence[np.ndarray]) -> list[EditCandidate]:
    """Find pairs of photos to compare block by block. photos: the HASHes of each."""
    hashed = np.concatenate([np.empty(0, HASH), *photos])
    owners = np.repeat(np.arange(len(photos)), [len(own) for own in photos])
    held = [np.empty((0, len(_COLUMNS)), np.int32)]
    for rows in _near(hashed, owners, _rare(hashed, owners)):
        held.append(rows)
        if sum(map(len, held)) > _MAX_ROWS:
            held = [_nearest(np.concatenate(held))]
    alone = max(_MIN_BITS_ALONE, _MAX_BITS_ALONE - (len(photos) // 1000).bit_length())
    return list(_candidates(_nearest(np.concatenate(held), alone)))


def _rare(hashed: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """The indices of hashes, without those that many photos before have."""
    order = np.lexsort((owners, hashed["tilted"], hashed["window"], hashed["hash"]))
    return np.sort(order[_ranks(hashed["hash"][order]) < _MAX_OF_ONE_HASH])


def _near(hashed: np.ndarray, owners: np.ndarray, searched: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows of _COLUMNS for all pairs of hashes that are near after any transform."""
    queries = np.flatnonzero(~hashed["tilted"])
    for transposing in (False, True):
        numbers = np.array([n for n, it in enumerate(TRANSFORMS) if it.transposed == transposing])
        masks = np.array([TRANSFORMS[number].changed_signs() for number in numbers])
        moved = np.stack(
            [TRANSFORMS[number].of_windows(np.arange(len(WINDOWS))) for number in numbers]
        )
        for windows in _SAME_SHAPE:
            a = queries[np.isin(hashed["window"][queries], windows)]
            b = searched[np.isin(hashed["window"][searched], moved[:, windows])]
            hashes = hashed["hash"][a]
            hashes = transposed(hashes) if transposing else hashes
            others = hashed["hash"][b]
            for rows, places in find_hamming_neighbours(hashes, others, _MAX_DISTANCE, masks):
                differences = hashes[rows] ^ others[places]
                which = nearest_mask(differences, masks)
                bits = np.bitwise_count(differences ^ masks[which])
                first, second = a[rows], b[places]
                fits = moved[which, hashed["window"][first]] == hashed["window"][second]
                found = np.column_stack([first, second, numbers[which], bits])[fits]
                yield _rows(hashed, owners, found)


def _rows(hashed: np.ndarray, owners: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Rows of _COLUMNS. found: (n, 4) query, neighbour, transform, Hamming distance."""
    ends, boxes = owners[found[:, :2]], hashed["box"][found[:, :2]]
    # The inverse transform finds each pair from the other side as well, except for tilted hashes.
    transform_first = ends[:, 0] < ends[:, 1]
    new = transform_first | ((ends[:, 0] > ends[:, 1]) & hashed["tilted"][found[:, 1]])
    order = np.where(transform_first[:, None], [[0, 1]], [[1, 0]])
    photos = np.take_along_axis(ends, order, 1)
    boxes = np.take_along_axis(boxes, order, 1)
    one = np.ones(len(found))
    columns = [photos, found[:, 2], boxes, transform_first, found[:, 3], one]
    return np.column_stack(columns)[new].astype(np.int32)


def _nearest(rows: np.ndarray, max_bits_alone: int = _MAX_DISTANCE) -> np.ndarray:
    """Keep the likeliest boxes of each pair, and the nearest pairs of each photo; nearest first.

    max_bits_alone: maximum distance of a pair that agrees in one window only.
    """
    rows = rows[np.lexsort((*rows.T[:6][::-1], rows[:, 6]))]
    _, firsts, same = np.unique(rows[:, :6], axis=0, return_index=True, return_inverse=True)
    windows = np.bincount(same, rows[:, 7])
    rows = rows[firsts]
    rows[:, 7] = windows
    _, same = np.unique(rows[:, :3], axis=0, return_inverse=True)
    rows = rows[(rows[:, 6] <= max_bits_alone) | (np.bincount(same, rows[:, 7])[same] > 1)]
    rows = rows[np.lexsort((*rows.T[:6][::-1], rows[:, 6]))]
    _, pairs = np.unique(rows[:, :2], axis=0, return_inverse=True)
    rows = rows[_ranks(pairs) < _MAX_BOX_PAIRS]
    _, firsts, pairs = np.unique(rows[:, :2], axis=0, return_index=True, return_inverse=True)
    nearest = np.argsort(firsts, kind="stable")  # the pairs, nearest first
    members = rows[firsts[nearest], :2]
    ranks = _ranks(members.ravel()).reshape(-1, 2).min(axis=1, initial=_MAX_CANDIDATES)
    kept = np.zeros(len(nearest), bool)
    kept[nearest] = ranks < _MAX_CANDIDATES
    return rows[kept[pairs]]


def _ranks(values: np.ndarray) -> np.ndarray:
    """(n,): how often each value occurs before its position."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-1))
    counts = np.diff([*starts, len(values)])
    ranks = np.empty(len(values), np.int64)
    ranks[order] = np.arange(len(values)) - np.repeat(starts, counts)
    return ranks


def _candidates(rows: np.ndarray) -> Iterator[EditCandidate]:
    """Yield the candidates in the order of their numbers."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    ends = np.flatnonzero(np.diff(rows[:, :2], axis=0).any(axis=1)) + 1
    for own in np.split(rows, ends) if len(rows) else ():
        first, second = own[0, :2].tolist()
        box_pairs = tuple(
            BoxPair(first_box, second_box, transform, bool(transform_first))
            for _, _, transform, first_box, second_box, transform_first, *_ in own.tolist()
        )
        yield EditCandidate(first, second, box_pairs)
