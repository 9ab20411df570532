"""The embedding map: vectors projected on the first two principal components."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from carbrand.parallel.one_thread import one_thread
from carbrand.photos.manifest import Row
from carbrand.scores.files.map_file import MappedPhoto
from carbrand.vectors.feature_store import Features
from carbrand.vectors.standardizer import Standardizer, portions

# Components are fitted on at most so many training photos, evenly spread over the rows: more would
# hardly change them, and these fit into memory.
_MAX_FITTED = 5000
# Up to so many photos or columns a full SVD is used, beyond that an iterative one.
_MAX_FULL_SVD = 500


def map_photos(learned: Features, rows: Sequence[Row], vectors: np.ndarray) -> list[MappedPhoto]:
    """Every photo, training and test, laid out by its vector. vectors (n, d): of the test rows.

    All of them from one network: the vectors of another are in another space.
    """
    space = Standardizer.fit(learned.vectors[:, :1], learned.recipe.widths)
    here, there = project(learned.vectors[:, 0], vectors, space.unit_vectors)
    return [
        *(
            MappedPhoto(path, "train", brand, float(x), float(y))
            for path, brand, (x, y) in zip(learned.paths, learned.photo_brands, here, strict=True)
        ),
        *(
            MappedPhoto(row.path, "test", row.brand, float(x), float(y))
            for row, (x, y) in zip(rows, there, strict=True)
        ),
    ]


@one_thread()
def project(
    training: np.ndarray,
    others: np.ndarray,
    normalize: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (n, 2) of the training vectors (n, d), and (m, 2) of the others (m, d).

    The first two principal components of the training vectors, scaled to a standard deviation of 1
    of the first. Their signs are such that the sum of the features grows to the right and upwards.
    The vectors may be memory-mapped files; `normalize` is applied to the portions that are read.
    """
    sample = normalize(training[:: -(-len(training) // _MAX_FITTED)])
    mean = sample.mean(axis=0)
    axes = principal_axes(sample - mean, 2)
    projected = []
    for vectors in (training, others):
        parts = [(normalize(part) - mean) @ axes.T for part in portions(vectors)]
        projected.append(np.concatenate(parts))
    std = projected[0][:, 0].std()
    scale = float(std) if std > 0 else 1.0
    return projected[0] / scale, projected[1] / scale


def principal_axes(centred: np.ndarray, count: int) -> np.ndarray:
    """The first right singular vectors of (n, d), (count, d); zeros where there are fewer."""
    axes = np.zeros((count, centred.shape[1]))
    if not centred.any():
        return axes
    if min(centred.shape) > max(_MAX_FULL_SVD, count):
        from scipy.sparse.linalg import svds

        # From a fixed start, so that it is deterministic. (Not from ones, which are orthogonal to
        # everything that is centred.)
        start = np.random.default_rng(0).standard_normal(min(centred.shape))
        _, values, found = svds(centred.astype(np.float64), k=count, v0=start)
        axes[:] = found[np.argsort(-values, kind="stable")]
    else:
        found = np.linalg.svd(centred, full_matrices=False)[2][:count]
        axes[: len(found)] = found
    return axes * np.where(axes.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
