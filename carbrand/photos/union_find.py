"""A union-find (disjoint-set) structure: clusters of items that are connected in pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np


class UnionFind:
    """`size` items, at first each in its own cluster. A cluster's label is its lowest item."""

    def __init__(self, size: int) -> None:
        self._parents = np.arange(size)

    def union(self, a: np.ndarray, b: np.ndarray) -> None:
        """Merge the clusters of a[i] and b[i], for every i."""
        self.join(zip(a.tolist(), b.tolist(), strict=True))

    def join(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Merge the clusters of both items of each pair."""
        for pair in pairs:
            first, second = sorted(map(self._find, pair))
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

    def groups(self) -> list[list[int]]:
        """The items of each cluster of at least two, in ascending order, by the lowest item."""
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for item, label in enumerate(self.labels().tolist()):
            groups[label].append(item)
        return [items for items in groups.values() if len(items) > 1]

    def _find(self, item: int) -> int:
        while (parent := int(self._parents[item])) != item:
            item = parent
        return item
