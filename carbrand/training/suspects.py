"""Training photos whose brand looks wrong: hints for a person, never an exclusion.

Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021), as cleanlab has it, on
probabilities of every photo by a classifier that has not seen it. That classifier is not the head
that ships: a head that learns its photos by heart also learns their wrong brands, and then says
them of photos alike. A ridge regression on the same vectors, each photo left out in turn in closed
form, does so less; and a second round, in which every photo weighs as much as the first one
believed its brand, does so least (LOG.md has the figures).
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from carbrand.parallel.batches import prefetch_map, usable_cores
from carbrand.parallel.one_thread import one_thread
from carbrand.scores.suspects_file import DECIMALS, Suspect
from carbrand.training.head import balance
from carbrand.training.problem import softmax
from carbrand.vectors.design_matrix import DesignMatrix
from carbrand.vectors.feature_store import Features
from carbrand.vectors.standardizer import Standardizer

# On the squared weights, for vectors of length near 1.
PENALTY = 0.3
# Scores of 0 and 1 become probabilities by softmax(score / this): about what fits (LOG.md), and not
# fitted anew each time, so that one wrong photo more or less does not reorder all others.
SCORE_TEMPERATURE = 0.25
# Of a photo whose brand the first round did not believe at all.
SMALLEST_WEIGHT = 1e-3
# Rows of the file at least, where there are as many photos: a person looks from the top.
LISTED = 50
# Rows that are multiplied at once.
_CHUNK = 2048


def find_suspects(features: Features) -> list[Suspect]:
    """All that cleanlab calls an issue, and others up to LISTED; the most suspicious first."""
    labels, brands = features.labels, features.brands
    probabilities = believe(
        features.vectors, labels, features.groups, len(brands), features.recipe.widths
    )
    issues, quality = _ask_cleanlab(labels, probabilities)
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
    # Of the rounded numbers, so that the last bits of the arithmetic decide no order.
    suspects.sort(key=lambda suspect: (-suspect.suspicion, suspect.path))
    return [suspect for place, suspect in enumerate(suspects) if suspect.issue or place < LISTED]


@one_thread()
def believe(
    vectors: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str],
    brands: int,
    widths: Sequence[int],
) -> np.ndarray:
    """Probabilities (n, brands) of every photo, by a classifier that trusts doubtful ones less.

    vectors: (n, views, d) float32. labels: (n,) int. Photos of one group, copies of one another,
    are left out together. widths: as for `train_head`.
    """
    rows = DesignMatrix.build(vectors, Standardizer.fit(vectors, widths))
    members = _members(groups)
    trust = np.ones(len(labels))
    for _ in range(2):
        weights = np.maximum(trust / trust.mean() * balance(labels, brands), SMALLEST_WEIGHT)
        scores = _leave_out(rows, labels, members, weights, brands)
        probabilities = softmax(scores / SCORE_TEMPERATURE)
        trust = probabilities[np.arange(len(labels)), labels]
    return probabilities


def _members(groups: Sequence[str]) -> list[np.ndarray]:
    """The numbers of the photos in each group."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(group, kind="stable")
    return np.split(order, np.cumsum(np.bincount(group, minlength=len(names)))[:-1])


def _with_one(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)


def _leave_out(
    rows: DesignMatrix,
    labels: np.ndarray,
    members: Sequence[np.ndarray],
    weights: np.ndarray,
    brands: int,
) -> np.ndarray:
    """Scores (n, brands) near 0…1 of each photo by the ridge regression on all other groups.

    A photo's score is the mean over its views. What a regression would say without some rows
    follows from what it says with them (Cook and Weisberg, Residuals and Influence in Regression,
    1982, chapter 2).
    """
    views = len(rows) // len(labels)
    one_hot = np.eye(brands)
    label_of_rows = np.repeat(labels, views)
    of_rows = np.repeat(weights, views)[:, None]
    squares = PENALTY * np.eye(rows.columns + 1)
    products = np.zeros((rows.columns + 1, brands))

    def add(start: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(start, start + _CHUNK)
        some = _with_one(rows.take(part))
        weighted = some * of_rows[part]
        return some.T @ weighted, weighted.T @ one_hot[label_of_rows[part]]

    # In threads, but added up in order: the same sum on any number of cores.
    for square, product in prefetch_map(add, range(0, len(rows), _CHUNK), ahead=usable_cores()):
        squares += square
        products += product
    inverse = np.linalg.inv(squares)
    kernel = inverse @ products
    scores = np.empty((len(labels), brands))
    for photos in _in_chunks(members, max(1, _CHUNK // views)):
        places = [(photo[:, None] * views + np.arange(views)).ravel() for photo in photos]
        ends = np.cumsum([len(place) for place in places])
        together = np.concatenate(places)
        inside = _with_one(rows.take(together)).astype(np.float64)
        spread = inside @ inverse
        targets = one_hot[label_of_rows[together]]
        residuals = targets - inside @ kernel
        for photo, place, end in zip(photos, places, ends, strict=True):
            own = slice(end - len(place), end)
            leverage = spread[own] @ inside[own].T * of_rows[place, 0]
            unseen = np.linalg.solve(np.eye(len(place)) - leverage, residuals[own])
            said = targets[own] - unseen
            scores[photo] = said.reshape(len(photo), views, brands).mean(axis=1)
    return scores


def _in_chunks(members: Sequence[np.ndarray], photos: int) -> Iterator[list[np.ndarray]]:
    """Groups, so many together that they hold at least `photos` photos."""
    chunk: list[np.ndarray] = []
    held = 0
    for group in members:
        chunk.append(group)
        held += len(group)
        if held >= photos:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _ask_cleanlab(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which photos cleanlab calls an issue, (n,) bool, and its label quality, (n,) float in 0…1."""
    with (
        warnings.catch_warnings(),
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
    ):
        # That a brand has few photos, validate has said already.
        warnings.simplefilter("ignore")
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores

        # The paper's own rule: as sure of another brand as that brand's photos are on the mean.
        # cleanlab's default names more photos, of which fewer are wrong (LOG.md).
        issues = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
        # Adjusted by how sure each brand's photos are on the whole, so that a brand that is hard to
        # tell does not fill the list.
        quality = get_label_quality_scores(
            labels, probabilities, method="self_confidence", adjust_pred_probs=True
        )
    return issues, quality
