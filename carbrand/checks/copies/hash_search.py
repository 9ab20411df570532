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
# Candidates compared at once: 10 MB, whatever the number of hashes.
_CHUNK_SIZE = 200_000
_AS_THEY_ARE = np.zeros(1, np.uint64)


def find_hamming_neighbours(
    queries: np.ndarray, hashes: np.ndarray, distance: int, masks: np.ndarray = _AS_THEY_ARE
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of pairs (indices of queries, indices of hashes) at most `distance` bits apart.

    `queries` (m,), `hashes` (n,): uint64. `distance`: MAX_DISTANCE at most. A pair comes once.
    `masks` (k,): a query may be changed by any one of them, at no cost: each changes all bits of a
    piece that any of them changes, or none.
    """
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"distance must be from 0 to {MAX_DISTANCE}, got {distance}")
    for piece in range(_PIECES):
        shift = np.uint64(piece * _PIECE_BITS)
        folds = np.unique(_pieces(masks, shift))
        table = _Table(_fold(_pieces(hashes, shift), folds))
        wanted = _pieces(queries, shift)
        for bits in _few_bits(distance // _PIECES):
            for rows, found in table.look_up(_fold(wanted ^ bits, folds)):
                differences = queries[rows] ^ hashes[found]
                near = np.flatnonzero(_fewest_bits(differences, masks) <= distance)
                left = differences[near] ^ masks[nearest_mask(differences[near], masks)]
                for earlier in range(piece):  # the pair came when that piece was looked up
                    count = np.bitwise_count(_pieces(left, np.uint64(earlier * _PIECE_BITS)))
                    new = count > distance // _PIECES
                    near, left = near[new], left[new]
                if len(near):
                    yield rows[near], found[near]


def nearest_mask(differences: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The number of the mask that leaves the fewest bits of each, (n,)."""
    return np.bitwise_count(differences[:, None] ^ masks).argmin(axis=1)


def _fewest_bits(differences: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """How many bits the best of the masks leaves of each, (n,); without memory for all of them."""
    fewest = np.bitwise_count(differences ^ masks[0])
    for mask in masks[1:]:
        np.minimum(fewest, np.bitwise_count(differences ^ mask), out=fewest)
    return fewest


def _fold(pieces: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The same number for all that the masks make of a piece."""
    return np.min([pieces ^ mask for mask in masks], axis=0)


def _pieces(hashes: np.ndarray, shift: np.uint64) -> np.ndarray:
    return ((hashes >> shift) & np.uint64(2**_PIECE_BITS - 1)).astype(np.int64)


def _few_bits(bits: int) -> list[int]:
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
            last = max(first + 1, int(np.searchsorted(ends, done + _CHUNK_SIZE, side="right")))
            rows = np.repeat(np.arange(first, last), counts[first:last])
            if len(rows):
                # 0, 1, 2, … within each run of equal rows
                offsets = np.arange(len(rows)) - np.repeat(
                    ends[first:last] - counts[first:last] - done, counts[first:last]
                )
                yield rows, self._order[starts[rows] + offsets]
            first = last
