"""Where vectors lie: the middle of the training photos, and how far each kind of feature spreads.

Vectors may be a file mapped into memory, larger than memory: they are read in portions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.vectors.array_file import release_pages

# Values of a portion: 64 MB of float32.
_PORTION = 16_000_000


@dataclass(frozen=True)
class Standardizer:
    """mean, scale: (d,) float32 each."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, widths: Sequence[int]) -> Standardizer:
        """The space in which `vectors` (n, views, d) are centred and of length near 1.

        widths: of the kinds of features (averages, maxima, …) that they hold side by side. The
        scale is one number per kind: a number per feature would blow up those that hardly say
        anything, which costs accuracy (LOG.md). Length 1 makes learning rate and penalty mean the
        same for every backbone.
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
        """The vectors (…, d) float32 in this space."""
        return (vectors - self.mean) / self.scale

    def unit_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) float32 of length 1: their products are cosines about the middle."""
        placed = self.transform(vectors)
        lengths = np.sqrt((placed**2).sum(axis=1, keepdims=True))
        return placed / np.where(lengths > 0, lengths, 1.0)


def portions(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """The array in parts of whole rows, as many together as make good use of memory."""
    step = max(1, _PORTION // max(1, vectors[:1].size))
    for start in range(0, max(1, len(vectors)), step):  # of none, one part with none
        yield vectors[start : start + step]
        release_pages(vectors)
