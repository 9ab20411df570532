"""The training problem of a cross-validation: its data, its loss, and the metrics of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from carbrand.scores.files.history import Epoch
from carbrand.vectors.standardizer import Standardizer, portions

MIN_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Weights:
    """Of all heads, for normalized vectors: kernel (d, heads * brands), bias (heads * brands,)."""

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Problem:
    """Several heads trained on the same vectors, which differ only in their training photos.

    vectors: (n, views, d) float32, view 0 being the unchanged photo; may be a memory-mapped file.
    labels: (n,) int. in_training: (n, heads) bool. photo_weights: (n,) float32, mean 1.
    The loss of a head is the weighted mean of the cross-entropy over all views of its training
    photos, plus l2 / n times the sum of its squared kernel: like a prior on the weights, the
    penalty does not grow with the number of photos (as 1 / C in liblinear).
    """

    vectors: np.ndarray
    space: Standardizer
    labels: np.ndarray
    in_training: np.ndarray
    photo_weights: np.ndarray
    brands: int
    epochs: int
    l2: float
    label_smoothing: float

    @property
    def photos(self) -> int:
        """The number of photos, n."""
        return len(self.labels)

    @property
    def views(self) -> int:
        """The number of views of each photo."""
        return int(self.vectors.shape[1])

    @property
    def heads(self) -> int:
        """The number of heads that are trained together."""
        return int(self.in_training.shape[1])


def softmax_loss(
    logits: np.ndarray, problem: Problem, photos: slice
) -> tuple[np.ndarray, np.ndarray]:
    """The losses (heads,) over all views of some photos, and their gradient by the logits.

    logits and gradient: (photos * views, heads * brands).
    """
    shape = (-1, problem.views, problem.heads, problem.brands)
    logits = logits.reshape(shape)
    weights = problem.in_training[photos] * problem.photo_weights[photos, None]
    weights = weights[:, None, :, None] / (problem.photos * problem.views)
    probabilities = softmax(logits)
    targets = _smoothed(problem.labels[photos], problem)[:, None, None, :]
    log_probabilities = np.log(np.maximum(probabilities, MIN_PROBABILITY))
    losses = -(weights * targets * log_probabilities).sum(axis=(0, 1, 3))
    return losses, (weights * (probabilities - targets)).reshape(-1, shape[2] * shape[3])


def _smoothed(labels: np.ndarray, problem: Problem) -> np.ndarray:
    smoothing = problem.label_smoothing
    return np.eye(problem.brands)[labels] * (1 - smoothing) + smoothing / problem.brands


def evaluate_epoch(number: int, weights: Weights, problem: Problem) -> tuple[Epoch, np.ndarray]:
    """The metrics of an epoch, and the held-out logits (n, brands) of every photo.

    Metrics are means over the folds' heads: all but the last, which is trained on every photo.
    """
    held_out = np.empty((problem.photos, problem.brands))
    sums = np.zeros(4)
    for photos, logits in _unaugmented_logits(weights, problem):
        labels, rows = problem.labels[photos], np.arange(len(logits))
        in_training = problem.in_training[photos, :-1]
        fold = np.argmin(in_training, axis=1)  # the one head that the photo is held out from
        probabilities = softmax(logits)
        of_actual = np.maximum(probabilities[rows, :, labels], MIN_PROBABILITY)
        losses = -np.log(of_actual)
        correct = probabilities.argmax(axis=2) == labels[:, None]
        held_out[photos] = logits[rows, fold]
        sums += (
            losses[:, :-1][in_training].sum(),
            correct[:, :-1][in_training].sum(),
            losses[rows, fold].sum(),
            correct[rows, fold].sum(),
        )
    trained = problem.in_training[:, :-1].sum()
    counts = [trained, trained, problem.photos, problem.photos]
    loss, accuracy, val_loss, val_accuracy = sums / counts
    return Epoch(number, loss, accuracy, val_loss, val_accuracy), held_out


def _unaugmented_logits(weights: Weights, problem: Problem) -> Iterator[tuple[slice, np.ndarray]]:
    """The logits (photos, heads, brands) of the unchanged photos, portion by portion."""
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
