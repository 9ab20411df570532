"""A map of the photos: their vectors in the two directions in which training photos differ most."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from carbrand.parallel.one_thread import one_thread
from carbrand.photos.manifest import Row
from carbrand.scores.map_file import MappedPhoto
from carbrand.vectors.feature_store import Features
from carbrand.vectors.standardizer import Standardizer, portions

# The directions are those of at most so many training photos, evenly spread over the rows: more
# would not turn them, and these fit into memory.
_ENOUGH = 5000
# Up to so many photos all components are computed at once, which always works.
_FEW = 500


def map_photos(learned: Features, rows: Sequence[Row], vectors: np.ndarray) -> list[MappedPhoto]:
    """Every photo, training and test, laid out by its vector. vectors (n, d): of the test rows."""
    space = Standardizer.fit(learned.vectors[:, :1], learned.recipe.widths)
    here, there = lay_out(learned.vectors[:, 0], vectors, space.unit_vectors)
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
def lay_out(
    training: np.ndarray,
    others: np.ndarray,
    place: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (n, 2) of the training vectors (n, d), and (m, 2) of the others (m, d).

    The principal components of the training vectors, scaled so that the first has a spread of 1;
    the direction in which most features grow points right, and up. The vectors may be files mapped
    into memory; `place` is applied to those that are read.
    """
    some = place(training[:: -(-len(training) // _ENOUGH)])
    mean = some.mean(axis=0)
    axes = _principal_axes(some - mean)  # (2, d)
    here, there = (
        np.concatenate([(place(part) - mean) @ axes.T for part in portions(vectors)])
        for vectors in (training, others)
    )
    spread = here[:, 0].std()
    scale = float(spread) if spread > 0 else 1.0
    return here / scale, there / scale


def _principal_axes(centred: np.ndarray) -> np.ndarray:
    """(2, d): the first two right singular vectors of (n, d); zeros where there are fewer."""
    axes = np.zeros((2, centred.shape[1]))
    if not centred.any():
        return axes
    if min(centred.shape) > _FEW:
        from scipy.sparse.linalg import svds

        # Iterative, for the cost of a few products; from a fixed start, so that it repeats. (Not
        # from ones, at right angles to everything that is centred.)
        start = np.random.default_rng(0).standard_normal(min(centred.shape))
        _, values, found = svds(centred.astype(np.float64), k=2, v0=start)
        axes[:] = found[np.argsort(-values, kind="stable")]
    else:
        found = np.linalg.svd(centred, full_matrices=False)[2][:2]
        axes[: len(found)] = found
    return axes * np.where(axes.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
