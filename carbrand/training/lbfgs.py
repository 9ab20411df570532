"""Softmax regression by L-BFGS.

The loss is convex: there is one minimum, and no rate to choose on the way to it. A pass over the
vectors serves all heads, and yet each goes its own way: what one of them sees says nothing to
another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import numpy as np

from carbrand.parallel.batches import prefetch_map, usable_cores
from carbrand.scores.history import Epoch
from carbrand.training.checkpoint import Checkpoint
from carbrand.training.problem import Count, Problem, Weights, softmax_loss
from carbrand.training.quasi_newton import descend
from carbrand.vectors.design_matrix import DesignMatrix

# Rows that are multiplied at once.
_PORTION = 4096
# What a softmax curves by, about: p (1 - p) for each share p.
_CURVATURE = 0.1
# 0.5 makes the curvature the same in all columns, and single details are learned before what shows
# most; 0 leaves it, and steps are many. Measured, see LOG.md.
_EVENED = 0.42


def minimise(problem: Problem, count: Count, checkpoint: Checkpoint) -> tuple[Weights, list[Epoch]]:
    """The weights of all heads at their minima, or after `problem.epochs` steps towards them.

    With every epoch counted, at least one. A search that was killed is told again what it had been
    told: it goes the same way, to the last bit.
    """
    rows = DesignMatrix.build(problem.vectors, problem.space)
    heads, height = problem.heads, rows.columns + 1  # the last row is the bias
    penalty = problem.l2 / problem.photos
    step = max(1, _PORTION // problem.views)
    starts = range(0, problem.photos, step)
    units = _units(rows, penalty)

    def side_by_side(at: np.ndarray) -> np.ndarray:
        """What is there of each head, (heads, k), as the columns of one kernel with its bias."""
        return units * at.reshape(heads, height, -1).transpose(1, 0, 2).reshape(height, -1)

    def compute_loss(at: np.ndarray) -> np.ndarray:
        """The losses of the heads, and after them their slopes."""
        weights = side_by_side(at)
        kernel = weights[:-1]
        losses = penalty * (kernel**2).reshape(-1, heads, problem.brands).sum(axis=(0, 2))
        slope = np.vstack([2 * penalty * kernel, np.zeros((1, kernel.shape[1]))])

        def add(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            photos = slice(start, start + step)
            inputs = rows.take(slice(start * problem.views, (start + step) * problem.views))
            parts, outer = softmax_loss(inputs @ kernel + weights[-1], problem, photos)
            return parts, inputs.T @ outer, outer.sum(axis=0)

        # In threads, but added up in order: the same sum on any number of cores.
        for parts, of_kernel, of_bias in prefetch_map(add, starts, ahead=usable_cores()):
            losses += parts
            slope[:-1] += of_kernel
            slope[-1] += of_bias
        slopes = (units * slope).reshape(height, heads, -1).transpose(1, 0, 2)
        return np.concatenate([losses, slopes.ravel()])

    def recall_or(compute: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
        def ask() -> np.ndarray:
            checkpoint.tell(len(history) + 1, problem.epochs)
            return compute(at)

        return checkpoint.answer(at, ask)

    def look(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answer = recall_or(compute_loss, at)
        return answer[:heads], answer[heads:].reshape(heads, -1)

    def unfold(at: np.ndarray) -> Weights:
        weights = side_by_side(at)
        return Weights(rows.expand_kernel(weights[:-1]), weights[-1])

    def count_at(at: np.ndarray) -> np.ndarray:
        return np.array(astuple(count(len(history) + 1, unfold(at))))

    def end_epoch(at: np.ndarray) -> None:
        number, *rest = recall_or(count_at, at)
        history.append(Epoch(int(number), *rest))

    history: list[Epoch] = []
    found = np.zeros((heads, height * problem.brands))
    for at in descend(look, found, problem.epochs):
        found = at
        end_epoch(at)
    if not history:  # photos all alike: there is nothing to learn
        end_epoch(found)
    return unfold(found), history


def _units(rows: DesignMatrix, penalty: float) -> np.ndarray:
    """What a step of 1 is, (columns + 1, 1), so that the loss curves much alike in every column.

    Then few steps lead to the minimum, and what is rounded otherwise leads to the same. Only of
    rows in a basis: its columns are orthogonal, and nothing but their lengths tells them apart.
    """
    if rows.basis is None:
        return np.ones((rows.columns + 1, 1))
    curvatures = _CURVATURE * (rows.each**2).mean(axis=0) + 2 * penalty
    return np.append(curvatures, _CURVATURE)[:, None] ** -_EVENED
