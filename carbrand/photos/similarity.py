"""Similarity of two small grey images of the same size: correlation of brightness and detail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Standard deviation in grey levels (0…255). Below, an image is treated as noise.
MIN_CONTRAST = 4.0
# Detail is the image less its Gaussian blur with this sigma.
_BLUR_PX = 1.0
# Correlation of detail in images of 32 px. Edited copies have at least 0.79; different drawings of
# one studio, whose brightness correlates up to 0.94, at most 0.65 (LOG.md).
MIN_DETAIL = 0.72
# Minimum correlation over all blocks that have at least _RICH_SHARE of the mean detail in either
# image: two boxes of one shape correlate as a whole, but not where another name is printed. Copies
# have at least 0.56 (LOG.md).
_BLOCK_PX = 8
_RICH_SHARE = 0.5
MIN_BLOCK_DETAIL = 0.5


@dataclass(frozen=True)
class Similarity:
    """Correlations, (n,) each: of brightness, of detail, and of detail in the worst block."""

    overall: np.ndarray
    detail: np.ndarray
    min_block_detail: np.ndarray

    def at_least(self, overall: float | np.ndarray) -> np.ndarray:
        """(n,) bool: brightness correlates at least `overall`, and detail is similar everywhere."""
        everywhere = (self.detail >= MIN_DETAIL) & (self.min_block_detail >= MIN_BLOCK_DETAIL)
        return (self.overall >= overall) & everywhere


def measure_similarity(a: np.ndarray, b: np.ndarray) -> Similarity:
    """The similarity of a[i] and b[i]: (n, s, s) grey levels each, integers or floats."""
    a_details, b_details = _details(a), _details(b)
    return Similarity(
        _correlate(a, b),
        _correlate(a_details, b_details, 0.0),
        _min_block_detail(a_details, b_details),
    )


def standardized(values: np.ndarray, least_contrast: float = MIN_CONTRAST) -> np.ndarray:
    """(n, …) float64, each with mean 0 and norm 1, so that dot products are correlations.

    All zeros if the standard deviation is at most `least_contrast`.
    """
    flat = values.reshape(len(values), math.prod(values.shape[1:])).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.sqrt((flat**2).sum(axis=1, keepdims=True))
    enough = lengths > least_contrast * np.sqrt(flat.shape[1])
    return np.where(enough, flat / np.where(enough, lengths, 1.0), 0.0).reshape(values.shape)


def _correlate(a: np.ndarray, b: np.ndarray, least_contrast: float = MIN_CONTRAST) -> np.ndarray:
    a, b = standardized(a, least_contrast), standardized(b, least_contrast)
    return (a * b).sum(axis=(1, 2))


def _details(pictures: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    values = pictures.astype(np.float64)
    return values - gaussian_filter(values, (0.0, _BLUR_PX, _BLUR_PX), mode="nearest")


def _min_block_detail(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,): the minimum correlation of details (n, s, s) over all blocks rich in detail."""
    a, b = _blocks(a), _blocks(b)
    power_a, power_b = (a**2).sum(axis=2), (b**2).sum(axis=2)  # (n, blocks)
    lengths = np.sqrt(power_a * power_b)
    agreement = (a * b).sum(axis=2) / np.where(lengths > 0, lengths, 1.0)
    rich = np.zeros(agreement.shape, bool)
    for power in (power_a, power_b):
        enough = _RICH_SHARE * power.mean(axis=1, keepdims=True)
        rich |= power >= np.maximum(enough, np.finfo(float).tiny)
    return np.where(rich, agreement, 1.0).min(axis=1, initial=1.0)


def _blocks(pictures: np.ndarray) -> np.ndarray:
    """(n, s, s) cut into (n, blocks, pixels)."""
    n, size, _ = pictures.shape
    along = size // _BLOCK_PX
    cut = pictures.reshape(n, along, _BLOCK_PX, along, _BLOCK_PX).transpose(0, 1, 3, 2, 4)
    return cut.reshape(n, along**2, _BLOCK_PX**2)
