"""What the heads of a cross-validation learn from, and how what they learned is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from carbrand.scores.history import Epoch
from carbrand.vectors.standardizer import Standardizer, portions

SMALLEST_SHARE = 1e-12


@dataclass(frozen=True)
class Weights:
    """For placed vectors: kernel (d, heads * brands) and bias (heads * brands,)."""

    kernel: np.ndarray
    bias: np.ndarray


# What a solver calls after every epoch, with its number.
Count = Callable[[int, Weights], Epoch]


@dataclass(frozen=True)
class Problem:
    """Several heads on the same vectors; which photos a head sees is all that tells them apart.

    vectors: (n, views, d) float32, view 0 being the photo as it is; they may be a file mapped into
    memory. labels: (n,) int. sees: (n, heads) bool. photo_weights: (n,) float32, mean 1.
    The loss of a head is the mean over the views of photos, weighted, of the cross-entropy with the
    smoothed labels, and l2 / n times the sum of its squared kernel: a prior on the weights counts
    once, however many photos there are (as 1 / C in liblinear).
    """

    vectors: np.ndarray
    space: Standardizer
    labels: np.ndarray
    sees: np.ndarray
    photo_weights: np.ndarray
    brands: int
    epochs: int
    l2: float
    label_smoothing: float

    @property
    def photos(self) -> int:
        """How many there are, n."""
        return len(self.labels)

    @property
    def views(self) -> int:
        """Of each photo."""
        return int(self.vectors.shape[1])

    @property
    def heads(self) -> int:
        """How many learn beside one another."""
        return int(self.sees.shape[1])


def softmax_loss(
    logits: np.ndarray, problem: Problem, photos: slice
) -> tuple[np.ndarray, np.ndarray]:
    """What all views of some photos add to the losses of the heads, and their slope by the logits.

    logits: (photos * views, heads * brands), as the slope. The losses: (heads,).
    """
    shape = (-1, problem.views, problem.heads, problem.brands)
    logits = logits.reshape(shape)
    weights = problem.sees[photos] * problem.photo_weights[photos, None]
    weights = weights[:, None, :, None] / (problem.photos * problem.views)
    shares = softmax(logits)
    targets = _smoothed(problem.labels[photos], problem)[:, None, None, :]
    surprise = np.log(np.maximum(shares, SMALLEST_SHARE))
    losses = -(weights * targets * surprise).sum(axis=(0, 1, 3))
    return losses, (weights * (shares - targets)).reshape(-1, shape[2] * shape[3])


def _smoothed(labels: np.ndarray, problem: Problem) -> np.ndarray:
    share = problem.label_smoothing
    return np.eye(problem.brands)[labels] * (1 - share) + share / problem.brands


def count_epoch(number: int, weights: Weights, problem: Problem) -> tuple[Epoch, np.ndarray]:
    """One row of the history, and the logits (n, brands) of each photo by the head without it.

    Means over the folds: the heads but the last, which sees every photo.
    """
    held_out = np.empty((problem.photos, problem.brands))
    sums = np.zeros(4)
    for photos, some in _plain_logits(weights, problem):
        labels, rows = problem.labels[photos], np.arange(len(some))
        sees = problem.sees[photos, :-1]
        unseen = np.argmin(sees, axis=1)  # the one head that does not see the photo
        shares = softmax(some)
        of_actual = np.maximum(shares[rows, :, labels], SMALLEST_SHARE)
        losses, right = -np.log(of_actual), shares.argmax(axis=2) == labels[:, None]
        held_out[photos] = some[rows, unseen]
        sums += (
            losses[:, :-1][sees].sum(),
            right[:, :-1][sees].sum(),
            losses[rows, unseen].sum(),
            right[rows, unseen].sum(),
        )
    seen = problem.sees[:, :-1].sum()
    loss, accuracy, val_loss, val_accuracy = sums / [seen, seen, problem.photos, problem.photos]
    return Epoch(number, loss, accuracy, val_loss, val_accuracy), held_out


def _plain_logits(weights: Weights, problem: Problem) -> Iterator[tuple[slice, np.ndarray]]:
    """The logits (photos, heads, brands) of portions of the photos as they are."""
    start = 0
    for part in portions(problem.vectors[:, 0]):
        logits = problem.space.transform(part) @ weights.kernel + weights.bias
        photos = slice(start, start + len(part))
        yield photos, logits.reshape(len(part), problem.heads, problem.brands)
        start += len(part)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
