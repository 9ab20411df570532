"""Search for all pairs of 64-bit hashes within a Hamming distance, without comparing all pairs.

Multi-index hashing (Norouzi, Punjani, Fleet: "Fast Search in Hamming Space with Multi-Index
Hashing", CVPR 2012): hashes are split into 4 substrings of 16 bits. If two hashes differ in at most
d bits, at least one pair of substrings differs in at most d // 4. Substrings and all their
neighbours are looked up in a table, so the work grows with the number of hashes and pairs found.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

_PIECES, _PIECE_BITS = 4, 16
# Up to 11, substrings differ in at most 2 bits: 137 neighbours each; with 3 bits 697.
MAX_DISTANCE = 11
# Candidates compared at a time: 10 MB.
_CHUNK_SIZE = 200_000
_NO_MASK = np.zeros(1, np.uint64)


def find_hamming_neighbours(
    queries: np.ndarray, hashes: np.ndarray, distance: int, masks: np.ndarray = _NO_MASK
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of pairs (indices of queries, indices of hashes) within a Hamming distance.

    queries (m,), hashes (n,): uint64. distance: 0…MAX_DISTANCE. Each pair is yielded once.
    masks (k,): the distance is the minimum over queries XOR any mask. In each substring, all masks
    change the same bits or none.
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
                for earlier in range(piece):  # the pair was yielded for that substring
                    count = np.bitwise_count(_pieces(left, np.uint64(earlier * _PIECE_BITS)))
                    new = count > distance // _PIECES
                    near, left = near[new], left[new]
                if len(near):
                    yield rows[near], found[near]


def nearest_mask(differences: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(n,): the index of the mask at the smallest Hamming distance."""
    return np.bitwise_count(differences[:, None] ^ masks).argmin(axis=1)


def _fewest_bits(differences: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(n,): the Hamming distance to the nearest mask, without memory for all of them."""
    fewest = np.bitwise_count(differences ^ masks[0])
    for mask in masks[1:]:
        np.minimum(fewest, np.bitwise_count(differences ^ mask), out=fewest)
    return fewest


def _fold(pieces: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """A canonical value for a substring under all masks."""
    return np.min([pieces ^ mask for mask in masks], axis=0)


def _pieces(hashes: np.ndarray, shift: np.uint64) -> np.ndarray:
    return ((hashes >> shift) & np.uint64(2**_PIECE_BITS - 1)).astype(np.int64)


def _few_bits(bits: int) -> list[int]:
    """All 16-bit numbers with at most `bits` bits set."""
    return [
        sum(1 << place for place in places)
        for count in range(bits + 1)
        for places in combinations(range(_PIECE_BITS), count)
    ]


class _Table:
    """An index of hashes by substring: sorted, with the start of each substring's run."""

    def __init__(self, pieces: np.ndarray) -> None:
        self._order = np.argsort(pieces, kind="stable")
        counts = np.bincount(pieces, minlength=2**_PIECE_BITS)
        self._starts = np.concatenate([[0], counts.cumsum()])

    def look_up(self, pieces: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield blocks of (indices of `pieces`, indices of the hashes with that piece)."""
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
