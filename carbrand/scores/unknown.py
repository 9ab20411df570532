"""Photos of none of the brands: how unlike the training photos a vector is.

The score sums three parts. Inside the space of the first principal components of the vectors: the
Mahalanobis distance to the nearest brand mean, with one covariance for all brands (Lee et al., "A
Simple Unified Framework for Detecting Out-of-Distribution Samples", NeurIPS 2018). Outside of it:
the norm of what the components leave (the residual of ViM, Wang et al., CVPR 2022). And the doubt
of the head: 1 minus the highest probability (Hendrycks and Gimpel, ICLR 2017). Distances find what
is no such photo at all, doubt another brand of the same kind (docs/unknown-photos-and-sets.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.parallel.one_thread import one_thread
from carbrand.scores.projection import principal_axes
from carbrand.vectors.array_file import select_rows
from carbrand.vectors.standardizer import Standardizer, portions

COMPONENTS = 64
# Share of the covariance that is replaced by its mean variance in every direction: a brand may have
# fewer photos than there are components.
SHRINKAGE = 0.3
PARTS = 3
# Components are fitted on at most so many photos, evenly spread over the rows.
_MAX_FITTED = 5000
# As written into files.
SCORE_DECIMALS = 4


@dataclass(frozen=True)
class BrandSpace:
    """Where the brands lie among the vectors of one network.

    mean, scale: (d,), of the standardized vectors. axes: (d, k), the principal components.
    whitening: (k, k), after which the covariance within brands is the identity. means: (brands, k),
    of the brands, whitened. All float32.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    whitening: np.ndarray
    means: np.ndarray

    @classmethod
    @one_thread()
    def fit(cls, vectors: np.ndarray, labels: np.ndarray, widths: Sequence[int]) -> BrandSpace:
        """Fit to the vectors (n, d) of photos with these labels, (n,) int.

        widths: of the kinds of features that are concatenated. Vectors may be a memory map.
        """
        standard = Standardizer.fit(vectors[:, None], widths)
        fitted = standard.transform(vectors[:: -(-len(vectors) // _MAX_FITTED)])
        components = principal_axes(fitted, min(COMPONENTS, vectors.shape[1]))
        # Rounded as in the file, so that distances are the same before and after.
        axes = components.T.astype(np.float16).astype(np.float32)
        places = np.concatenate([standard.transform(part) @ axes for part in portions(vectors)])
        brands, rows = np.unique(labels, return_inverse=True)
        means = np.stack([places[labels == label].mean(axis=0) for label in brands])
        whitening = _whitening((places - means[rows]).astype(np.float64))
        return cls(standard.mean, standard.scale, axes, whitening, means @ whitening)

    def distances(self, vectors: np.ndarray) -> np.ndarray:
        """(n, 2) float64 of vectors (n, d): to the nearest brand inside the space, and to it."""
        return np.concatenate([self._distances(part) for part in portions(vectors)])

    def _distances(self, vectors: np.ndarray) -> np.ndarray:
        standardized = (vectors - self.mean) / self.scale
        # Not by BLAS, whose threads change the last bits, and whose limit is no thread's own.
        places = np.einsum("nd,dk->nk", standardized, self.axes)
        outside = (standardized**2).sum(axis=1) - (places**2).sum(axis=1)
        whitened = np.einsum("nk,kj->nj", places, self.whitening)
        # A photo at a time, as there may be many brands.
        nearest = [((row - self.means) ** 2).sum(axis=1).min() for row in whitened]
        both = np.array([nearest, np.maximum(outside, 0.0)], np.float64)
        return np.sqrt(both).T


def _whitening(within: np.ndarray) -> np.ndarray:
    """(k, k) float32 W such that the shrunk covariance of within @ W is the identity."""
    covariance = within.T @ within / len(within)
    mean_variance = np.trace(covariance) / len(covariance)
    if not mean_variance > 0:  # every photo equals the mean of its brand
        return np.eye(len(covariance), dtype=np.float32)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * mean_variance * np.eye(len(covariance))
    return np.linalg.inv(np.linalg.cholesky(shrunk)).T.astype(np.float32)


@dataclass(frozen=True)
class UnknownRule:
    """When a photo is unknown. weights: (3,), of the parts; share: of known photos called so.

    The weighted sum is 1 where `share` of the known photos lie above.
    """

    space: BrandSpace
    weights: tuple[float, ...]
    share: float

    def score(self, vectors: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """(n,) float64 of vectors (n, d) and probabilities (n, brands), rounded as in files.

        Above 1 a photo is unknown.
        """
        return self.weigh(self.space.distances(vectors), probabilities)

    def weigh(self, distances: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """The scores (n,) of distances (n, 2) and probabilities (n, brands)."""
        scores = _parts(distances, probabilities) @ np.array(self.weights)
        return np.round(scores, SCORE_DECIMALS)


def _parts(distances: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n, 3): the two distances, and the doubt."""
    return np.column_stack([distances, 1.0 - probabilities.max(axis=1)])


def calibrate_unknown(
    space: BrandSpace, distances: np.ndarray, probabilities: np.ndarray, share: float
) -> UnknownRule | None:
    """The rule by which `share` of known photos are called unknown; None if that is 0.

    distances: (n, 2), of held-out photos in spaces that were fitted without them. probabilities:
    (n, brands), of heads that have not seen them. Each part is divided by its standard deviation.
    The limit is the quantile of conformal prediction, whose share holds for the next photo too, and
    not only for these (Vovk et al., "Algorithmic Learning in a Random World", 2005).
    """
    if not share:
        return None
    parts = _parts(distances, probabilities)
    spread = parts.std(axis=0)
    weights = np.divide(1.0, spread, out=np.zeros(PARTS), where=spread > 0)
    weights /= conformal_quantile(parts @ weights, 1 - share) or 1.0
    return UnknownRule(space, tuple(weights.tolist()), share)


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """The score below which the next one lies with this chance: the ⌈(n + 1) level⌉-th smallest.

    The largest, if n is too small for the level.
    """
    place = math.ceil(round((len(scores) + 1) * level, 9))
    return float(np.sort(scores)[min(place, len(scores)) - 1])


def hold_out_distances(
    vectors: np.ndarray, labels: np.ndarray, folds: np.ndarray, widths: Sequence[int]
) -> np.ndarray:
    """(n, 2): the distances of each vector in a space that was fitted to the other folds."""
    distances = np.empty((len(labels), 2))
    for fold in np.unique(folds):
        held_out, learned = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        space = BrandSpace.fit(select_rows(vectors, learned.tolist()), labels[learned], widths)
        distances[held_out] = space.distances(select_rows(vectors, held_out.tolist()))
    return distances
