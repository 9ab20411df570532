"""`python -m bench.representations FOLDER`: which vectors tell the brands of FOLDER/<brand>/ apart.

Repeated, stratified cross-validation of an L2 logistic regression, fitted to convergence, on
vectors of several photo sizes and poolings: the ground on which the defaults of params.yaml were
chosen. The network looks once: the kinds of features that each pooling takes lie side by side.

Only training photos belong into FOLDER. Prints accuracy / log loss of held-out photos.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from bench.photos import name_series, read_rows, read_vectors
from carbrand.network.pooling import POOLINGS
from carbrand.node.params import read_section
from carbrand.training.head import assign_folds, balance
from carbrand.training.problem import softmax
from carbrand.vectors.standardizer import Standardizer
from stages.features import FeaturesParams

PENALTIES = (0.0003, 0.001, 0.003, 0.01)
FOLDS = 5
SEEDS = 8


# Which kinds of features each takes of those of `levels`: averages, maxima, maxima of earlier maps.
TAKEN = {"avg": slice(0, 1), "max": slice(1, 2), "avg_max": slice(0, 2), "levels": slice(None)}


def read_representations(
    folder: Path, size_px: int, views: int
) -> tuple[dict[str, np.ndarray], np.ndarray, list[str]]:
    """Vectors (n, views, d) by pooling, labels (n,) and series of the photos in `folder`."""
    rows = read_rows(folder)
    brands = sorted({row.brand for row in rows})
    defaults = read_section(Path("params.yaml"), "features", FeaturesParams)
    params = replace(defaults, size_px=size_px, views=views, pooling="levels")
    vectors, recipe = read_vectors(rows, params)
    kinds = np.split(vectors, np.cumsum(recipe.widths)[:-1], axis=-1)
    representations = {pooling: _join(kinds[TAKEN[pooling]]) for pooling in POOLINGS}
    labels = np.array([brands.index(row.brand) for row in rows])
    return representations, labels, name_series(rows, vectors, recipe, params)


def _join(kinds: list[np.ndarray]) -> np.ndarray:
    """Kinds of features side by side, as the head sees them."""
    vectors = np.concatenate(kinds, axis=-1)
    space = Standardizer.fit(vectors, [kind.shape[-1] for kind in kinds])
    return space.transform(vectors).astype(np.float64)


def fit(vectors: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (d, k) and bias (k,) of the L2 logistic regression on (n, d) vectors."""
    brands = int(labels.max()) + 1
    # The best kernel lies in the span of the vectors, which is much smaller than d.
    left, singular, right = np.linalg.svd(vectors, full_matrices=False)
    inputs = left * singular
    targets = np.eye(brands)[labels]
    weights = balance(labels, brands)[:, None].astype(np.float64)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = np.split(flat.reshape(-1, brands), [inputs.shape[1]])
        shares = softmax(inputs @ kernel + bias)
        surprise = -(weights * targets * np.log(np.maximum(shares, 1e-12))).sum() / len(labels)
        slope = weights * (shares - targets) / len(labels)
        gradient = np.vstack([inputs.T @ slope + 2 * penalty * kernel, slope.sum(axis=0)])
        return surprise + penalty * (kernel**2).sum(), gradient.ravel()

    start = np.zeros((inputs.shape[1] + 1) * brands)
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    kernel, bias = np.split(best.reshape(-1, brands), [inputs.shape[1]])
    return right.T @ kernel, bias[0]


def cross_validate(
    vectors: np.ndarray, labels: np.ndarray, series: Sequence[str], penalty: float
) -> tuple[float, float]:
    """Accuracy and log loss of held-out photos as they are, means over SEEDS foldings."""
    views, scores = vectors.shape[1], []
    for seed in range(SEEDS):
        folds = assign_folds(labels, series, FOLDS, seed)
        shares = np.empty((len(labels), int(labels.max()) + 1))
        for fold in range(FOLDS):
            seen = folds != fold
            kernel, bias = fit(
                vectors[seen].reshape(-1, vectors.shape[-1]),
                np.repeat(labels[seen], views),
                penalty / seen.sum(),
            )
            shares[~seen] = softmax(vectors[~seen, 0] @ kernel + bias)
        of_actual = shares[np.arange(len(labels)), labels]
        scores.append(((shares.argmax(axis=1) == labels).mean(), -np.log(of_actual).mean()))
    accuracy, log_loss = np.mean(scores, axis=0)
    return float(accuracy), float(log_loss)


def main() -> None:
    """One row per size, pooling and number of views."""
    parser = argparse.ArgumentParser(prog="python -m bench.representations", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 320, 448])
    parser.add_argument("--views", type=int, default=4)
    arguments = parser.parse_args()
    print("| size, pooling, views |" + "".join(f" c = {c} |" for c in PENALTIES))
    print("|---|" + "---|" * len(PENALTIES))
    for size_px in arguments.sizes:
        read = read_representations(arguments.folder, size_px, arguments.views)
        representations, labels, series = read
        for pooling, vectors in representations.items():
            for views in sorted({1, arguments.views}):
                cells = [
                    "{:.3f} / {:.3f}".format(*cross_validate(vectors[:, :views], labels, series, c))
                    for c in PENALTIES
                ]
                print(f"| {size_px} {pooling}, {views} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
