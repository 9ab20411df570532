"""Train the classifying head on the vectors of a frozen backbone.

The heads of a cross-validation and the final head are trained together, as the columns of one
kernel: the photos of fold `h` are held out from head `h`, and the last head is trained on all
photos. So every training photo gets a held-out prediction, the learning curves are of held-out
photos, and the final model needs no second training. (All heads share the mean and scale of the
vectors, which do not depend on labels, and the number of photos of each brand.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.parallel.one_thread import one_thread
from carbrand.scores.files.history import Epoch
from carbrand.training.checkpoint import Checkpoint, Checkpoints
from carbrand.training.checkpoint_key import hash_training
from carbrand.training.lbfgs import train_by_lbfgs
from carbrand.training.problem import Problem, Weights, evaluate_epoch
from carbrand.vectors.standardizer import Standardizer


@dataclass(frozen=True)
class HeadParams:
    """See the section `train` of params.yaml."""

    epochs: int
    l2: float
    label_smoothing: float


@dataclass(frozen=True)
class TrainedHead:
    """`kernel` (d, brands) and `bias` (brands,), for the network's vectors, not normalized.

    `held_out_logits` (n, brands): of every unchanged training photo, by the head it is held out
    from, after the last epoch. `folds` (n,) int: which head that is.
    `fold_kernels` (folds, d, brands) and `fold_biases` (folds, brands): those heads.
    """

    kernel: np.ndarray
    bias: np.ndarray
    held_out_logits: np.ndarray
    folds: np.ndarray
    fold_kernels: np.ndarray
    fold_biases: np.ndarray
    history: list[Epoch]


def assign_folds(labels: np.ndarray, groups: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """Stratified, grouped folds: a fold number for every photo, (n,) int.

    Photos of one group are copies of one another or of one scene and share a fold, so that no photo
    of a held-out one's scene is in training. There are at most as many folds as groups. The largest
    groups of a brand are dealt first, each to the fold with the fewest photos of the brand, and of
    those to the one with the fewest photos.
    """
    rng = np.random.default_rng(seed)
    _, first, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    label_of_group = labels[first]
    sizes = np.bincount(group)
    fold_of_group = np.empty(len(first), np.int64)
    photos = np.zeros(min(folds, len(first)), np.int64)
    for label in np.unique(labels):
        of_brand = np.zeros_like(photos)
        drawn = rng.permutation(np.flatnonzero(label_of_group == label))
        for number in drawn[np.argsort(-sizes[drawn], kind="stable")]:
            fold = np.lexsort((photos, of_brand))[0]
            fold_of_group[number] = fold
            of_brand[fold] += sizes[number]
            photos[fold] += sizes[number]
    return fold_of_group[group]


def balance(labels: np.ndarray, brands: int) -> np.ndarray:
    """Photo weights, (n,) float32 with mean 1, that give every brand the same total weight."""
    counts = np.bincount(labels, minlength=brands)
    return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)


class NotFinite(ValueError):
    """The vectors contain NaN or infinity."""


@one_thread()
def train_head(
    vectors: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    photo_weights: np.ndarray,
    brands: int,
    widths: Sequence[int],
    params: HeadParams,
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> TrainedHead:
    """Softmax regression with an L2 penalty, and its held-out logits by cross-validation.

    vectors: (n, views, d) float32, view 0 being the unchanged photo; may be a memory-mapped file.
    labels: (n,) int. folds: (n,) int. photo_weights: (n,) float32, mean 1. widths: of the kinds of
    features that are concatenated in the vectors. checkpoints: where a killed training is resumed
    from; None for nowhere. on_epoch: called after every epoch that is computed. Raises NotFinite.
    """
    space = Standardizer.fit(vectors, widths)
    if not (np.isfinite(space.mean).all() and np.isfinite(space.scale).all()):
        raise NotFinite
    in_fold = folds[:, None] == np.arange(int(folds.max()) + 1)
    problem = Problem(
        vectors=vectors,
        space=space,
        labels=labels,
        in_training=np.concatenate([~in_fold, np.ones((len(labels), 1), bool)], axis=1),
        photo_weights=photo_weights,
        brands=brands,
        epochs=params.epochs,
        l2=params.l2,
        label_smoothing=params.label_smoothing,
    )
    checkpoint = Checkpoint(checkpoints, lambda: hash_training(problem))
    weights, history = train_by_lbfgs(problem, checkpoint, on_epoch)
    _, held_out = evaluate_epoch(len(history), weights, problem)
    kernels, biases = _for_raw_vectors(weights, space, brands)
    return TrainedHead(
        # The last head, trained on all photos.
        kernel=kernels[-1],
        bias=biases[-1],
        held_out_logits=held_out,
        folds=folds,
        fold_kernels=kernels[:-1],
        fold_biases=biases[:-1],
        history=history,
    )


def _for_raw_vectors(
    weights: Weights, space: Standardizer, brands: int
) -> tuple[np.ndarray, np.ndarray]:
    """The kernels (heads, d, brands) and biases (heads, brands) for vectors not normalized."""
    kernels = np.stack(np.split(weights.kernel, weights.kernel.shape[1] // brands, axis=1))
    shifts = np.stack([(space.mean / space.scale) @ kernel for kernel in kernels])
    biases = weights.bias.reshape(-1, brands) - shifts
    return (kernels / space.scale[:, None]).astype(np.float32), biases.astype(np.float32)
