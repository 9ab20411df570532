"""Things that belong together because each is joined to one of the others: a union-find."""

from __future__ import annotations

import numpy as np


class UnionFind:
    """`size` things, numbered from 0, each in a cluster of its own at first.

    The number of a cluster is that of its first member.
    """

    def __init__(self, size: int) -> None:
        self._parents = np.arange(size)

    def union(self, a: np.ndarray, b: np.ndarray) -> None:
        """Put the clusters of a[i] and b[i] together, for every i."""
        for left, right in zip(a.tolist(), b.tolist(), strict=True):
            first, second = sorted((self._find(left), self._find(right)))
            self._parents[second] = first

    def are_separate(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(n,) bool: which of the pairs (a[i], b[i]) are in different clusters so far."""
        labels = self.labels()
        return labels[a] != labels[b]

    def labels(self) -> np.ndarray:
        """(size,) int: the cluster of each thing."""
        while not np.array_equal(parents := self._parents[self._parents], self._parents):
            self._parents = parents
        return self._parents

    def _find(self, thing: int) -> int:
        while (parent := int(self._parents[thing])) != thing:
            thing = parent
        return thing
