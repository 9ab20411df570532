"""Which model ships: tuned and frozen, compared on the same photos that neither has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.scores.files.history import Epoch
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.problem import MIN_PROBABILITY, softmax


@dataclass(frozen=True)
class Score:
    """What a model predicts of photos that it has not seen."""

    correct: int
    log_loss: float


@dataclass(frozen=True)
class Verdict:
    """asked: the number of photos that both models were asked about."""

    asked: int
    frozen: Score
    tuned: Score
    ships_tuned: bool


def choose_folds(folds: np.ndarray, photos: int) -> list[int]:
    """The first folds that hold at least so many photos, or all of them."""
    chosen: list[int] = []
    for fold in range(int(folds.max()) + 1):
        if np.isin(folds, chosen).sum() >= photos:
            break
        chosen.append(fold)
    return chosen


def compare(
    frozen: np.ndarray, tuned: np.ndarray, labels: np.ndarray, params: FinetuneParams
) -> Verdict:
    """The verdict on calibrated logits (n, brands) of both models.

    The tuned model wins with the smaller log loss: every photo has a say in it, by how sure a model
    is, where the numbers of correct photos differ by the few that are near the boundary.
    """
    of_frozen, of_tuned = score(frozen, labels), score(tuned, labels)
    wins = of_tuned.log_loss < of_frozen.log_loss
    return Verdict(len(labels), of_frozen, of_tuned, params.ship == "tuned" or wins)


def score(logits: np.ndarray, labels: np.ndarray) -> Score:
    """Of logits (n, brands)."""
    probabilities = softmax(logits.astype(np.float64))
    actual = np.maximum(probabilities[np.arange(len(labels)), labels], MIN_PROBABILITY)
    return Score(int((probabilities.argmax(axis=1) == labels).sum()), float(-np.log(actual).mean()))


def mean_history(histories: Sequence[Sequence[Epoch]]) -> list[Epoch]:
    """Epoch by epoch, the mean over runs."""
    return [
        Epoch(
            epochs[0].epoch,
            *(
                float(np.mean([getattr(epoch, name) for epoch in epochs]))
                for name in ("loss", "accuracy", "val_loss", "val_accuracy")
            ),
        )
        for epochs in zip(*histories, strict=True)
    ]
