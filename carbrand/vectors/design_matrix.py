"""Vectors as the rows of a regression: placed in their space, and of few rows in few columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbrand.vectors.array_file import release_pages
from carbrand.vectors.standardizer import Standardizer


@dataclass(frozen=True)
class DesignMatrix:
    """The views of photos, one after the other, as `take` gives them.

    each: (n * views, columns). space: where they still have to be placed, or None. basis: (d,
    columns) float64 from their columns to those of the vectors, or None where these are the same.
    """

    each: np.ndarray
    space: Standardizer | None
    basis: np.ndarray | None

    @classmethod
    def build(cls, vectors: np.ndarray, space: Standardizer) -> DesignMatrix:
        """Of vectors (n, views, d), which may be a file mapped into memory.

        Fewer rows than columns span no more columns than there are rows, and all that a regression
        can learn from them lies there: then the rows are in a basis of that, in float64.
        """
        each = vectors.reshape(-1, vectors.shape[-1])
        if len(each) > each.shape[1]:
            return cls(each, space, None)
        wide = space.transform(each).astype(np.float64)
        squares, directions = np.linalg.eigh(wide @ wide.T)
        # The rest is rounding.
        kept = squares > squares[-1] * len(each) * np.finfo(np.float64).eps
        lengths = np.sqrt(squares[kept])
        return cls(directions[:, kept] * lengths, None, wide.T @ (directions[:, kept] / lengths))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.each)

    @property
    def columns(self) -> int:
        """As many as `take` gives."""
        return self.each.shape[1]

    def take(self, places: slice | np.ndarray) -> np.ndarray:
        """Some of them, (rows, columns) float32 or float64."""
        rows = self.each[places]
        if self.space is None:
            return rows
        placed = self.space.transform(rows)
        release_pages(self.each)
        return placed

    def expand_kernel(self, kernel: np.ndarray) -> np.ndarray:
        """A kernel (columns, k) on the rows as one (d, k) on placed vectors."""
        return kernel if self.basis is None else self.basis @ kernel
