"""Standardization of vectors by the mean of the training photos and a scale per kind of feature.

Vectors may be a memory map larger than memory: they are read in portions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.vectors.array_file import release_pages

# Values per portion: 64 MB of float32.
_PORTION = 16_000_000


@dataclass(frozen=True)
class Standardizer:
    """mean, scale: (d,) float32."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, widths: Sequence[int]) -> Standardizer:
        """Fit to vectors (n, views, d), which it transforms to mean 0 and a norm of about 1.

        widths: of the kinds of features (averages, maxima, …) that are concatenated. There is one
        scale per kind: one per feature would amplify uninformative features, which costs accuracy
        (LOG.md). With norm 1, the penalty means the same for every backbone.
        """
        rows, width = vectors.shape[0] * vectors.shape[1], vectors.shape[2]
        mean = np.zeros(width)
        for part in portions(vectors):
            mean += part.sum(axis=(0, 1), dtype=np.float64)
        mean /= rows
        squares = np.zeros(width)
        for part in portions(vectors):
            squares += ((part - mean) ** 2).sum(axis=(0, 1))
        starts = np.cumsum([0, *widths[:-1]])
        by_kind = np.add.reduceat(squares, starts) / rows
        lengths = np.sqrt(np.where(by_kind > 0, by_kind, 1.0) * len(widths))
        scale = np.repeat(lengths, widths)
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def transform(self, vectors: np.ndarray) -> np.ndarray:
        """Standardize vectors (…, d); float32."""
        return (vectors - self.mean) / self.scale

    def unit_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) float32, standardized and of norm 1: dot products are cosine similarities."""
        standardized = self.transform(vectors)
        norms = np.sqrt((standardized**2).sum(axis=1, keepdims=True))
        return standardized / np.where(norms > 0, norms, 1.0)


def portions(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """Yield slices of rows with about _PORTION values each, and release their pages."""
    step = max(1, _PORTION // max(1, vectors[:1].size))
    for start in range(0, max(1, len(vectors)), step):  # of an empty array, one empty slice
        yield vectors[start : start + step]
        release_pages(vectors)
