"""A union-find (disjoint-set) structure: clusters of items that are connected in pairs."""

from __future__ import annotations

import numpy as np


class UnionFind:
    """`size` items, at first each in its own cluster. A cluster's label is its lowest item."""

    def __init__(self, size: int) -> None:
        self._parents = np.arange(size)

    def union(self, a: np.ndarray, b: np.ndarray) -> None:
        """Merge the clusters of a[i] and b[i], for every i."""
        for left, right in zip(a.tolist(), b.tolist(), strict=True):
            first, second = sorted((self._find(left), self._find(right)))
            self._parents[second] = first

    def are_separate(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(n,) bool: whether a[i] and b[i] are in different clusters."""
        labels = self.labels()
        return labels[a] != labels[b]

    def labels(self) -> np.ndarray:
        """(size,) int: the label of each item's cluster."""
        while not np.array_equal(parents := self._parents[self._parents], self._parents):
            self._parents = parents
        return self._parents

    def _find(self, item: int) -> int:
        while (parent := int(self._parents[item])) != item:
            item = parent
        return item
