"""Train the classifying head on the vectors of a frozen backbone.

The folds of a cross-validation and the head that ships are trained side by side, as the columns of
one kernel: head `h` of the first F never sees the photos of fold `h`, the last head sees all.
So every training photo is predicted by a head that has not seen it, the curves are those of held
out photos, and no second training is needed for the model that ships. (What all heads share is the
centre and the length of the vectors, which know no labels, and how many photos each brand has.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from carbrand.parallel.one_thread import one_thread
from carbrand.scores.history import Epoch
from carbrand.training.adam import descend
from carbrand.training.checkpoint import Checkpoint, Checkpoints
from carbrand.training.checkpoint_key import name_training
from carbrand.training.lbfgs import minimise
from carbrand.training.problem import Problem, Weights, count_epoch
from carbrand.vectors.standardizer import Standardizer

SOLVERS = ("lbfgs", "adam")


@dataclass(frozen=True)
class HeadParams:
    """See the section `train` of params.yaml."""

    solver: str
    epochs: int
    batch_size: int
    learning_rate: float
    l2: float
    label_smoothing: float
    seed: int


@dataclass(frozen=True)
class TrainedHead:
    """`kernel` (d, brands) and `bias` (brands,), for vectors as they come from the network.

    `held_out_logits` (n, brands): those of every training photo, as it is, by the head that has
    not seen it, after the last epoch. `folds` (n,) int: which head that is.
    """

    kernel: np.ndarray
    bias: np.ndarray
    held_out_logits: np.ndarray
    folds: np.ndarray
    history: list[Epoch]


def assign_folds(labels: np.ndarray, groups: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """A fold number for every photo, (n,) int: each brand spread as evenly as it goes.

    Photos of one group, copies of one another, share a fold: what is held out is not seen under
    another name. There are at most as many folds as groups. The dealing goes on from brand to
    brand, so that the folds are of one size too.
    """
    rng = np.random.default_rng(seed)
    _, first, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    label_of_group = labels[first]
    dealt = np.concatenate(
        [rng.permutation(np.flatnonzero(label_of_group == label)) for label in np.unique(labels)]
    )
    fold_of_group = np.empty(len(first), np.int64)
    fold_of_group[dealt] = np.arange(len(dealt)) % min(folds, len(dealt))
    return fold_of_group[group]


def balance(labels: np.ndarray, brands: int) -> np.ndarray:
    """A weight per photo, (n,) float32, that gives every brand the same say; their mean is 1."""
    counts = np.bincount(labels, minlength=brands)
    return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)


class NotFinite(ValueError):
    """Vectors hold numbers that are not finite."""


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
    watch: Callable[[Epoch], object] | None = None,
) -> TrainedHead:
    """Softmax regression with an L2 penalty, and what its folds say of photos they have not seen.

    vectors: (n, views, d) float32, view 0 being the photo as it is; they may be a file mapped into
    memory. labels: (n,) int. folds: (n,) int. photo_weights: (n,) float32, mean 1. widths: those of
    the kinds of features that the vectors hold side by side. checkpoints: where what a killed
    training had computed may lie, and is kept; None: nowhere. watch: called after every epoch that
    is computed. Raises NotFinite.
    """
    space = Standardizer.fit(vectors, widths)
    if not (np.isfinite(space.mean).all() and np.isfinite(space.scale).all()):
        raise NotFinite
    in_fold = folds[:, None] == np.arange(int(folds.max()) + 1)
    problem = Problem(
        vectors=vectors,
        space=space,
        labels=labels,
        sees=np.concatenate([~in_fold, np.ones((len(labels), 1), bool)], axis=1),
        photo_weights=photo_weights,
        brands=brands,
        epochs=params.epochs,
        l2=params.l2,
        label_smoothing=params.label_smoothing,
    )
    checkpoint = Checkpoint(checkpoints, lambda: name_training(problem, asdict(params)))
    held_out: np.ndarray | None = None

    def count(number: int, weights: Weights) -> Epoch:
        nonlocal held_out
        epoch, held_out = count_epoch(number, weights, problem)
        if watch:
            watch(epoch)
        return epoch

    if params.solver == "lbfgs":
        weights, history = minimise(problem, count, checkpoint)
    else:
        batches = params.batch_size, params.learning_rate, params.seed
        weights, history = descend(problem, count, checkpoint, *batches)
    if held_out is None:  # killed when the last epoch had been counted
        held_out = count_epoch(len(history), weights, problem)[1]
    kernel, bias = weights.kernel[:, -brands:], weights.bias[-brands:]  # the head that sees all
    return TrainedHead(
        kernel=(kernel / space.scale[:, None]).astype(np.float32),
        bias=(bias - (space.mean / space.scale) @ kernel).astype(np.float32),
        held_out_logits=held_out,
        folds=folds,
        history=history,
    )
