"""Which photos may be edited copies of which: those of which a window has nearly the same hash.

The search goes through all versions of each photo (turned, mirrored, negative) without comparing
each photo with each (carbrand/checks/copies/hash_search.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.checks.copies.hash_search import find_near
from carbrand.checks.copies.window_hash import VERSIONS, Version, WindowHashes

# Bits of 64. Up to 7, one of four pieces differs in one bit at most, which makes the search quick.
_DISTANCE = 7
# Where all photos look alike (a camera that never moves), each is compared with so many others,
_MOST_CANDIDATES = 8
# each pair in so many ways,
_MOST_OVERLAYS = 4
# and of a hash that many photos share (the same wall, the same caption) so many are looked up.
_MOST_OF_ONE_HASH = 8
# Rows that are held before all but the nearest candidates are dropped: 200 MB.
_HELD = 2_000_000
# Columns of what is held; the last is the distance in bits.
_COLUMNS = ("first", "second", "first_box", "second_box", "version", "changed_first", "bits")


@dataclass(frozen=True)
class Overlay:
    """The boxes of two photos that may show the same, and the version of the one or the other.

    changed_first: whether it is the first photo that is to be changed into that version.
    """

    first_box: int
    second_box: int
    version: int
    changed_first: bool


@dataclass(frozen=True)
class Candidate:
    """Two photos, by number, the first before the second, and how they may lie upon one another."""

    first: int
    second: int
    overlays: tuple[Overlay, ...]


def find_candidates(photos: Sequence[WindowHashes]) -> list[Candidate]:
    """The pairs that are worth a close look, by their numbers; their likeliest overlays first."""
    everything = _Frames.of(photos)
    held = [np.empty((0, len(_COLUMNS)), np.int32)]
    for number, version in enumerate(VERSIONS):
        for rows in _near(everything, number, version):
            held.append(rows)
            if sum(map(len, held)) > _HELD:
                held = [_nearest(np.concatenate(held))]
    return list(_candidates(_nearest(np.concatenate(held))))


@dataclass(frozen=True)
class _Frames:
    """The hashes of all photos in one row, (k,) each."""

    hashes: np.ndarray
    windows: np.ndarray
    boxes: np.ndarray
    tilted: np.ndarray
    owners: np.ndarray

    @classmethod
    def of(cls, photos: Sequence[WindowHashes]) -> _Frames:
        counts = [len(photo.hashes) for photo in photos]

        def joined(name: str, kind: type) -> np.ndarray:
            return np.concatenate([np.empty(0, kind), *(getattr(photo, name) for photo in photos)])

        return cls(
            joined("hashes", np.uint64),
            joined("windows", np.uint8),
            joined("boxes", np.uint8),
            joined("tilted", bool),
            np.repeat(np.arange(len(photos)), counts),
        )

    def rare(self) -> np.ndarray:
        """The numbers of frames without those whose hash many photos before have."""
        order = np.lexsort((self.owners, self.tilted, self.windows, self.hashes))
        ends = np.flatnonzero(np.diff(self.hashes[order]) != 0) + 1
        starts = np.concatenate([[0], ends])
        rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
        return np.sort(order[rank < _MOST_OF_ONE_HASH])


def _near(frames: _Frames, number: int, version: Version) -> Iterator[np.ndarray]:
    """Rows of _COLUMNS for all frames that in this version are near to others."""
    asked = np.flatnonzero(~frames.tilted)
    offered = frames.rare()
    hashes = version.of_hashes(frames.hashes[asked])
    windows = version.of_windows(frames.windows[asked])
    for rows, places in find_near(hashes, frames.hashes[offered], _DISTANCE):
        a, b = asked[rows], offered[places]
        owners, others = frames.owners[a], frames.owners[b]
        # The inverse version finds the pair from the other side as well, but for tilted frames.
        new = (owners < others) | ((owners > others) & frames.tilted[b])
        fits = np.flatnonzero(new & (windows[rows] == frames.windows[b]))
        a, b, owners, others = a[fits], b[fits], owners[fits], others[fits]
        changed_first = owners < others
        yield np.column_stack(
            [
                np.minimum(owners, others),
                np.maximum(owners, others),
                np.where(changed_first, frames.boxes[a], frames.boxes[b]),
                np.where(changed_first, frames.boxes[b], frames.boxes[a]),
                np.full(len(fits), number),
                changed_first,
                np.bitwise_count(hashes[rows[fits]] ^ frames.hashes[b]),
            ]
        ).astype(np.int32)


def _nearest(rows: np.ndarray) -> np.ndarray:
    """The likeliest overlays of each pair, of the nearest pairs of each photo; nearest first."""
    bits = rows[:, -1]
    rows = rows[np.lexsort((*rows.T[-2::-1], bits))]
    _, firsts = np.unique(rows[:, :-1], axis=0, return_index=True)
    rows = rows[np.sort(firsts)]
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


def _candidates(rows: np.ndarray) -> Iterator[Candidate]:
    """By their numbers, each with its overlays."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    ends = np.flatnonzero(np.diff(rows[:, :2], axis=0).any(axis=1)) + 1
    for own in np.split(rows, ends) if len(rows) else ():
        first, second = own[0, :2].tolist()
        overlays = tuple(
            Overlay(first_box, second_box, version, bool(changed_first))
            for _, _, first_box, second_box, version, changed_first, *_ in own.tolist()
        )
        yield Candidate(first, second, overlays)
