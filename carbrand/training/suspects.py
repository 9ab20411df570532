"""Suspected label errors among the training photos: hints for a person, never an exclusion.

Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021), by cleanlab, on held-out
probabilities of every photo. They do not come from the final head: a head that fits its training
photos closely also fits their label errors, and repeats them on similar photos. Ridge regression
on the same vectors, with leave-one-out predictions in closed form, does so less; a second round, in
which photos are weighted by the probability that the first one gave their label, does so least
(LOG.md has the figures).
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from carbrand.parallel.batches import prefetch_map, usable_cores
from carbrand.parallel.one_thread import one_thread
from carbrand.scores.files.suspects_file import DECIMALS, Suspect
from carbrand.training.head import balance
from carbrand.training.problem import softmax
from carbrand.vectors.design_matrix import DesignMatrix
from carbrand.vectors.feature_store import Features
from carbrand.vectors.standardizer import Standardizer

# On the squared kernel, for vectors of length near 1.
PENALTY = 0.3
# Scores of 0 and 1 become probabilities by softmax(score / this). Constant, near the fitted value
# (LOG.md), so that one label error more or less does not reorder all other photos.
SCORE_TEMPERATURE = 0.25
# Of a photo whose label got a probability of 0 in the first round.
SMALLEST_WEIGHT = 1e-3
# The least number of rows in the file, if there are as many photos: a person reads from the top.
LISTED = 50
# Rows that are multiplied at once.
_BATCH_ROWS = 2048


def find_suspects(features: Features) -> list[Suspect]:
    """All of cleanlab's issues, and further photos up to LISTED; the most suspicious first."""
    labels, brands = features.labels, features.brands
    probabilities = predict_leave_one_out(
        features.vectors, labels, features.series, len(brands), features.recipe.widths
    )
    issues, quality = _find_issues(labels, probabilities)
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1.0
    suggested = others.argmax(axis=1)
    suspects = [
        Suspect(
            path=features.paths[row],
            brand=brands[labels[row]],
            suggested=brands[suggested[row]],
            confidence=round(float(probabilities[row, suggested[row]]), DECIMALS),
            suspicion=round(1 - float(quality[row]), DECIMALS),
            issue=bool(issues[row]),
        )
        for row in range(len(labels))
    ]
    # By the rounded numbers, so that the order does not depend on the last bits.
    suspects.sort(key=lambda suspect: (-suspect.suspicion, suspect.path))
    return [suspect for place, suspect in enumerate(suspects) if suspect.issue or place < LISTED]


@one_thread()
def predict_leave_one_out(
    vectors: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str],
    brands: int,
    widths: Sequence[int],
) -> np.ndarray:
    """Held-out probabilities (n, brands) of every photo, with doubtful photos weighted down.

    vectors: (n, views, d) float32. labels: (n,) int. groups: photos of one group are of
    one scene and are held out together. widths: as for `train_head`.
    """
    rows = DesignMatrix.build(vectors, Standardizer.fit(vectors, widths))
    members = _members(groups)
    label_probabilities = np.ones(len(labels))
    for _ in range(2):
        relative = label_probabilities / label_probabilities.mean()
        weights = np.maximum(relative * balance(labels, brands), SMALLEST_WEIGHT)
        scores = _score_held_out(rows, labels, members, weights, brands)
        probabilities = softmax(scores / SCORE_TEMPERATURE)
        label_probabilities = probabilities[np.arange(len(labels)), labels]
    return probabilities


def _members(groups: Sequence[str]) -> list[np.ndarray]:
    """The indices of the photos in each group."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(group, kind="stable")
    return np.split(order, np.cumsum(np.bincount(group, minlength=len(names)))[:-1])


def _with_bias(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)


def _score_held_out(
    rows: DesignMatrix,
    labels: np.ndarray,
    members: Sequence[np.ndarray],
    weights: np.ndarray,
    brands: int,
) -> np.ndarray:
    """Scores (n, brands) near 0…1 of each photo by the ridge regression on all other groups.

    A photo's score is the mean over its views. The residuals without some rows follow from those
    with all rows and the leverages (Cook and Weisberg, Residuals and Influence in Regression, 1982,
    chapter 2).
    """
    views = len(rows) // len(labels)
    one_hot = np.eye(brands)
    label_of_rows = np.repeat(labels, views)
    row_weights = np.repeat(weights, views)[:, None]
    squares = PENALTY * np.eye(rows.columns + 1)
    products = np.zeros((rows.columns + 1, brands))

    def add(start: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(start, start + _BATCH_ROWS)
        inputs = _with_bias(rows.take(part))
        weighted = inputs * row_weights[part]
        return inputs.T @ weighted, weighted.T @ one_hot[label_of_rows[part]]

    # Computed in threads but summed in order: the same bits on any number of cores.
    for square, product in prefetch_map(
        add, range(0, len(rows), _BATCH_ROWS), ahead=usable_cores()
    ):
        squares += square
        products += product
    inverse = np.linalg.inv(squares)
    kernel = inverse @ products
    scores = np.empty((len(labels), brands))
    for photos in _batch_groups(members, max(1, _BATCH_ROWS // views)):
        places = [(photo[:, None] * views + np.arange(views)).ravel() for photo in photos]
        ends = np.cumsum([len(place) for place in places])
        together = np.concatenate(places)
        inside = _with_bias(rows.take(together)).astype(np.float64)
        spread = inside @ inverse
        targets = one_hot[label_of_rows[together]]
        residuals = targets - inside @ kernel
        for photo, place, end in zip(photos, places, ends, strict=True):
            own = slice(end - len(place), end)
            leverage = spread[own] @ inside[own].T * row_weights[place, 0]
            held_out = np.linalg.solve(np.eye(len(place)) - leverage, residuals[own])
            predicted = targets[own] - held_out
            scores[photo] = predicted.reshape(len(photo), views, brands).mean(axis=1)
    return scores


def _batch_groups(members: Sequence[np.ndarray], photos: int) -> Iterator[list[np.ndarray]]:
    """Batches of groups that hold at least `photos` photos; the last one may hold fewer."""
    batch: list[np.ndarray] = []
    held = 0
    for group in members:
        batch.append(group)
        held += len(group)
        if held >= photos:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _find_issues(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cleanlab's label issues, (n,) bool, and label quality scores, (n,) float in 0…1."""
    with (
        warnings.catch_warnings(),
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
    ):
        # validate has already warned of brands with few photos.
        warnings.simplefilter("ignore")
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores

        # The paper's rule: another brand's probability reaches the mean of that brand's own photos.
        # cleanlab's default finds more issues, of which fewer are label errors (LOG.md).
        issues = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
        # Adjusted by each brand's mean confidence, so that a brand that is hard to classify does
        # not fill the list.
        quality = get_label_quality_scores(
            labels, probabilities, method="self_confidence", adjust_pred_probs=True
        )
    return issues, quality
