"""Which photos may be edited copies of which: those of which a window has nearly the same hash.

The search goes through all versions of each photo (turned, mirrored, negative) without comparing
each photo with each (carbrand/checks/copies/hash_search.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.checks.copies.hash_search import find_hamming_neighbours, nearest_mask
from carbrand.checks.copies.window_hash import HASH, TRANSFORMS, WINDOWS, transposed

# Bits of 64. Up to 7, one of four pieces differs in one bit at most, which makes the search quick.
_DISTANCE = 7
# Copies agree in several windows, other photos in one by chance, and the more often the more photos
# there are: of a pair that agrees in one, below 1,000 photos so many bits may differ, one less from
# there on and at each doubling, but never fewer than the second.
_MOST_BITS_ALONE, _FEWEST_BITS_ALONE = 7, 3
# Where all photos look alike (a camera that never moves), each is compared with so many others,
_MOST_CANDIDATES = 8
# each pair in so many ways,
_MOST_OVERLAYS = 4
# and of a hash that many photos share (the same wall, the same caption) so many are looked up.
_MOST_OF_ONE_HASH = 8
# Rows that are held before all but the nearest candidates are dropped: 200 MB.
_HELD = 2_000_000
# Windows that a version without transposition may change for one another.
_SAME_SHAPE = ([0], [1], [2, 3], [4, 5])
# Columns of what is held: two photos, how they lie upon one another, the distance in bits, and how
# many windows agree.
_COLUMNS = (
    *("first", "second", "version", "first_box", "second_box", "changed_first"),
    *("bits", "windows"),
)


@dataclass(frozen=True)
class BoxPair:
    """The boxes of two photos that may show the same, and the version of the one or the other.

    changed_first: whether it is the first photo that is to be changed into that version.
    """

    first_box: int
    second_box: int
    version: int
    changed_first: bool


@dataclass(frozen=True)
class EditCandidate:
    """Two photos, by number, the first before the second, and how they may lie upon one another."""

    first: int
    second: int
    box_pairs: tuple[BoxPair, ...]


def find_edit_candidates(photos: Sequence[np.ndarray]) -> list[EditCandidate]:
    """The pairs that are worth a close look, by their numbers; their likeliest box_pairs first.

    `photos`: the HASHes of each.
    """
    frames = np.concatenate([np.empty(0, HASH), *photos])
    owners = np.repeat(np.arange(len(photos)), [len(own) for own in photos])
    held = [np.empty((0, len(_COLUMNS)), np.int32)]
    for rows in _near(frames, owners, _rare(frames, owners)):
        held.append(rows)
        if sum(map(len, held)) > _HELD:
            held = [_nearest(np.concatenate(held))]
    alone = max(_FEWEST_BITS_ALONE, _MOST_BITS_ALONE - (len(photos) // 1000).bit_length())
    return list(_candidates(_nearest(np.concatenate(held), alone)))


def _rare(frames: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """The numbers of frames without those whose hash many photos before have."""
    order = np.lexsort((owners, frames["tilted"], frames["window"], frames["hash"]))
    return np.sort(order[_ranks(frames["hash"][order]) < _MOST_OF_ONE_HASH])


def _near(frames: np.ndarray, owners: np.ndarray, offered: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of _COLUMNS for all frames that in any version are near to others."""
    asked = np.flatnonzero(~frames["tilted"])
    for turned in (False, True):
        numbers = np.array([n for n, it in enumerate(TRANSFORMS) if it.transposed == turned])
        masks = np.array([TRANSFORMS[number].changed_signs() for number in numbers])
        moved = np.stack(
            [TRANSFORMS[number].of_windows(np.arange(len(WINDOWS))) for number in numbers]
        )
        for windows in _SAME_SHAPE:
            a = asked[np.isin(frames["window"][asked], windows)]
            b = offered[np.isin(frames["window"][offered], moved[:, windows])]
            hashes = frames["hash"][a]
            hashes = transposed(hashes) if turned else hashes
            others = frames["hash"][b]
            for rows, places in find_hamming_neighbours(hashes, others, _DISTANCE, masks):
                differences = hashes[rows] ^ others[places]
                which = nearest_mask(differences, masks)
                bits = np.bitwise_count(differences ^ masks[which])
                asks, offers = a[rows], b[places]
                fits = moved[which, frames["window"][asks]] == frames["window"][offers]
                found = np.column_stack([asks, offers, numbers[which], bits])[fits]
                yield _rows(frames, owners, found)


def _rows(frames: np.ndarray, owners: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Rows of _COLUMNS of those that ask, those that are offered, the version and the bits."""
    ends, boxes = owners[found[:, :2]], frames["box"][found[:, :2]]
    # The inverse version finds the pair from the other side as well, but for tilted frames.
    changed_first = ends[:, 0] < ends[:, 1]
    new = changed_first | ((ends[:, 0] > ends[:, 1]) & frames["tilted"][found[:, 1]])
    inorder = np.where(changed_first[:, None], [[0, 1]], [[1, 0]])
    first_second = np.take_along_axis(ends, inorder, 1)
    boxes = np.take_along_axis(boxes, inorder, 1)
    one = np.ones(len(found))
    columns = [first_second, found[:, 2], boxes, changed_first, found[:, 3], one]
    return np.column_stack(columns)[new].astype(np.int32)


def _nearest(rows: np.ndarray, most_bits_alone: int = _DISTANCE) -> np.ndarray:
    """The likeliest box_pairs of each pair, of the nearest pairs of each photo; nearest first.

    most_bits_alone: in how many bits a pair may differ that agrees in one window only.
    """
    rows = rows[np.lexsort((*rows.T[:6][::-1], rows[:, 6]))]
    _, firsts, same = np.unique(rows[:, :6], axis=0, return_index=True, return_inverse=True)
    windows = np.bincount(same, rows[:, 7])
    rows = rows[firsts]
    rows[:, 7] = windows
    _, same = np.unique(rows[:, :3], axis=0, return_inverse=True)
    rows = rows[(rows[:, 6] <= most_bits_alone) | (np.bincount(same, rows[:, 7])[same] > 1)]
    rows = rows[np.lexsort((*rows.T[:6][::-1], rows[:, 6]))]
    _, pairs = np.unique(rows[:, :2], axis=0, return_inverse=True)
    rows = rows[_ranks(pairs) < _MOST_OVERLAYS]
    _, firsts, pairs = np.unique(rows[:, :2], axis=0, return_index=True, return_inverse=True)
    nearest = np.argsort(firsts, kind="stable")  # the pairs, nearest first
    members = rows[firsts[nearest], :2]
    ranks = _ranks(members.ravel()).reshape(-1, 2).min(axis=1, initial=_MOST_CANDIDATES)
    kept = np.zeros(len(nearest), bool)
    kept[nearest] = ranks < _MOST_CANDIDATES
    return rows[kept[pairs]]


def _ranks(values: np.ndarray) -> np.ndarray:
    """How often each value came before, (n,)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-1))
    counts = np.diff([*starts, len(values)])
    ranks = np.empty(len(values), np.int64)
    ranks[order] = np.arange(len(values)) - np.repeat(starts, counts)
    return ranks


def _candidates(rows: np.ndarray) -> Iterator[EditCandidate]:
    """By their numbers, each with its box_pairs."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    ends = np.flatnonzero(np.diff(rows[:, :2], axis=0).any(axis=1)) + 1
    for own in np.split(rows, ends) if len(rows) else ():
        first, second = own[0, :2].tolist()
        box_pairs = tuple(
            BoxPair(first_box, second_box, version, bool(changed_first))
            for _, _, version, first_box, second_box, changed_first, *_ in own.tolist()
        )
        yield EditCandidate(first, second, box_pairs)
