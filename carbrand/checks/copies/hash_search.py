"""All pairs of 64-bit hashes that differ in a few bits, without comparing each with each.

Multi-index hashing (Norouzi, Punjani, Fleet: "Fast Search in Hamming Space with Multi-Index
Hashing", CVPR 2012): cut the 64 bits into 4 pieces. When two hashes differ in at most d bits, at
least one pair of their pieces differs in at most d // 4. Pieces of 16 bits are looked up in a
table, together with all their neighbours. So the work grows with the number of hashes and of pairs
found, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

_PIECES, _PIECE_BITS = 4, 16
# Up to here the pieces differ in at most 2 bits: 137 neighbours each; 3 bits would be 697.
MAX_DISTANCE = 11
# Candidates compared at once: 50 MB, whatever the number of hashes.
_AT_ONCE = 1_000_000


def find_near(
    queries: np.ndarray, hashes: np.ndarray, distance: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of pairs (indices of queries, indices of hashes) at most `distance` bits apart.

    `queries` (m,), `hashes` (n,): uint64. `distance`: MAX_DISTANCE at most. A pair comes once.
    """
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"distance must be from 0 to {MAX_DISTANCE}, got {distance}")
    masks = _masks(distance // _PIECES)
    for piece in range(_PIECES):
        shift = np.uint64(piece * _PIECE_BITS)
        table = _Table(_pieces(hashes, shift))
        wanted = _pieces(queries, shift)
        for mask in masks:
            for rows, found in table.look_up(wanted ^ mask):
                differences = queries[rows] ^ hashes[found]
                near = np.bitwise_count(differences) <= distance
                for earlier in range(piece):  # the pair came when that piece was looked up
                    bits = np.bitwise_count(_pieces(differences, np.uint64(earlier * _PIECE_BITS)))
                    near &= bits > distance // _PIECES
                if near.any():
                    yield rows[near], found[near]


def _pieces(hashes: np.ndarray, shift: np.uint64) -> np.ndarray:
    return ((hashes >> shift) & np.uint64(2**_PIECE_BITS - 1)).astype(np.int64)


def _masks(bits: int) -> list[int]:
    """All numbers of 16 bits of which at most `bits` are set."""
    return [
        sum(1 << place for place in places)
        for count in range(bits + 1)
        for places in combinations(range(_PIECE_BITS), count)
    ]


class _Table:
    """Which hashes have a given piece: their indices, sorted by piece, and where each begins."""

    def __init__(self, pieces: np.ndarray) -> None:
        self._order = np.argsort(pieces, kind="stable")
        counts = np.bincount(pieces, minlength=2**_PIECE_BITS)
        self._starts = np.concatenate([[0], counts.cumsum()])

    def look_up(self, pieces: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(indices of `pieces`, indices of the hashes that have them), in blocks."""
        starts = self._starts[pieces]
        counts = self._starts[pieces + 1] - starts
        ends = counts.cumsum()
        first = 0
        while first < len(pieces):
            done = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
            rows = np.repeat(np.arange(first, last), counts[first:last])
            if len(rows):
                # 0, 1, 2, … within each run of equal rows
                offsets = np.arange(len(rows)) - np.repeat(
                    ends[first:last] - counts[first:last] - done, counts[first:last]
                )
                yield rows, self._order[starts[rows] + offsets]
            first = last
