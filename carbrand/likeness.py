"""Whether two small grey pictures of one size show the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Grey levels (of 255). Less contrast than this is noise, which agrees with nothing.
LEAST_CONTRAST = 4.0
# What a Gaussian blur of so many pixels takes away is detail.
_BLUR_PX = 1.0
# Of detail, in pictures of 32 pixels. Copies have at least 0.79, whatever was done to them;
# different drawings of one studio, whose light and dark agree to 0.94, at most 0.65 (LOG.md).
LEAST_DETAIL = 0.72


@dataclass(frozen=True)
class Likeness:
    """Pearson's correlations, (n,) each: of light and dark, and of details alone."""

    overall: np.ndarray
    detail: np.ndarray

    def at_least(self, overall: float | np.ndarray) -> np.ndarray:
        """(n,) bool: where light and dark agree so well, and the details do as well."""
        return (self.overall >= overall) & (self.detail >= LEAST_DETAIL)


def compare(a: np.ndarray, b: np.ndarray) -> Likeness:
    """The likeness of pictures pair by pair: (n, s, s) grey levels twice, integers or floats."""
    return Likeness(_correlate(a, b), _correlate(_details(a), _details(b), 0.0))


def standardized(values: np.ndarray, least_contrast: float = LEAST_CONTRAST) -> np.ndarray:
    """(n, …) float64, each with mean 0 and length 1, so that products are correlations.

    Zeros where there is no contrast.
    """
    flat = values.reshape(len(values), math.prod(values.shape[1:])).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.sqrt((flat**2).sum(axis=1, keepdims=True))
    enough = lengths > least_contrast * np.sqrt(flat.shape[1])
    return np.where(enough, flat / np.where(enough, lengths, 1.0), 0.0).reshape(values.shape)


def _correlate(a: np.ndarray, b: np.ndarray, least_contrast: float = LEAST_CONTRAST) -> np.ndarray:
    a, b = standardized(a, least_contrast), standardized(b, least_contrast)
    return (a * b).sum(axis=(1, 2))


def _details(pictures: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    values = pictures.astype(np.float64)
    return values - gaussian_filter(values, (0.0, _BLUR_PX, _BLUR_PX), mode="nearest")
