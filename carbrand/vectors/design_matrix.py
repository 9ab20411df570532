"""The design matrix of a regression on vectors: standardized, with few columns for few rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbrand.vectors.array_file import release_pages
from carbrand.vectors.standardizer import Standardizer


@dataclass(frozen=True)
class DesignMatrix:
    """One row per view of each photo.

    each: (n * views, columns). space: the standardizer that `take` still has to apply, or None.
    basis: (d, columns) float64, from columns to features of vectors, or None if they are the same.
    """

    each: np.ndarray
    space: Standardizer | None
    basis: np.ndarray | None

    @classmethod
    def build(cls, vectors: np.ndarray, space: Standardizer) -> DesignMatrix:
        """Build it from vectors (n, views, d), which may be a memory map.

        If there are fewer rows than features, the rows are projected onto a basis of their span, in
        float64: the solution of an L2-regularized regression lies in it.
        """
        each = vectors.reshape(-1, vectors.shape[-1])
        if len(each) > each.shape[1]:
            return cls(each, space, None)
        wide = space.transform(each).astype(np.float64)
        squares, directions = np.linalg.eigh(wide @ wide.T)
        # Smaller eigenvalues are rounding errors.
        kept = squares > squares[-1] * len(each) * np.finfo(np.float64).eps
        lengths = np.sqrt(squares[kept])
        return cls(directions[:, kept] * lengths, None, wide.T @ (directions[:, kept] / lengths))

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.each)

    @property
    def columns(self) -> int:
        """The number of columns."""
        return self.each.shape[1]

    def take(self, places: slice | np.ndarray) -> np.ndarray:
        """Standardized rows, (rows, columns) float32 or float64."""
        rows = self.each[places]
        if self.space is None:
            return rows
        standardized = self.space.transform(rows)
        release_pages(self.each)
        return standardized

    def expand_kernel(self, kernel: np.ndarray) -> np.ndarray:
        """Convert a kernel (columns, k) to one (d, k) for standardized vectors."""
        return kernel if self.basis is None else self.basis @ kernel
