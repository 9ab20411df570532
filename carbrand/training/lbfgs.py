"""Softmax regression by L-BFGS: the loss is convex, and there is no learning rate to choose.

One pass over the vectors evaluates all heads, which are otherwise independent of one another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import numpy as np

from carbrand.parallel.batches import prefetch_map, usable_cores
from carbrand.scores.files.history import Epoch
from carbrand.training.checkpoint import Checkpoint
from carbrand.training.problem import Problem, Weights, evaluate_epoch, softmax_loss
from carbrand.training.quasi_newton import iterate_lbfgs
from carbrand.vectors.design_matrix import DesignMatrix

# Rows that are multiplied at once.
_BATCH_ROWS = 4096
# The approximate curvature of the softmax: p (1 - p) for each probability p.
_CURVATURE = 0.1
# Exponent of the preconditioner. At 0.5 all columns have the same curvature, and fine details are
# learned before the main directions; at 0 there is none, and convergence is slow. Measured, see
# LOG.md.
_PRECONDITIONING = 0.42


def train_by_lbfgs(
    problem: Problem, checkpoint: Checkpoint, on_epoch: Callable[[Epoch], object] | None
) -> tuple[Weights, list[Epoch]]:
    """The weights of all heads at convergence or after `problem.epochs` steps, and the history.

    The history has at least one epoch. A resumed training replays the objective's values from the
    checkpoint, so its result is the same to the last bit.
    """
    rows = DesignMatrix.build(problem.vectors, problem.space)
    heads, height = problem.heads, rows.columns + 1  # the last row is the bias
    penalty = problem.l2 / problem.photos
    step = max(1, _BATCH_ROWS // problem.views)
    starts = range(0, problem.photos, step)
    scales = _precondition(rows, penalty)

    def to_kernel(point: np.ndarray) -> np.ndarray:
        """From (heads, k) to one kernel with its bias, (height, heads * brands), unscaled."""
        columns = point.reshape(heads, height, -1).transpose(1, 0, 2).reshape(height, -1)
        return scales * columns

    def compute_loss(point: np.ndarray) -> np.ndarray:
        """The losses of the heads, followed by their gradients, in one array."""
        weights = to_kernel(point)
        kernel = weights[:-1]
        losses = penalty * (kernel**2).reshape(-1, heads, problem.brands).sum(axis=(0, 2))
        gradient = np.vstack([2 * penalty * kernel, np.zeros((1, kernel.shape[1]))])

        def add(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            photos = slice(start, start + step)
            inputs = rows.take(slice(start * problem.views, (start + step) * problem.views))
            parts, by_logits = softmax_loss(inputs @ kernel + weights[-1], problem, photos)
            return parts, inputs.T @ by_logits, by_logits.sum(axis=0)

        # Computed in threads but summed in order: the same bits on any number of cores.
        for parts, kernel_part, bias_part in prefetch_map(add, starts, ahead=usable_cores()):
            losses += parts
            gradient[:-1] += kernel_part
            gradient[-1] += bias_part
        gradients = (scales * gradient).reshape(height, heads, -1).transpose(1, 0, 2)
        return np.concatenate([losses, gradients.ravel()])

    def load_or(compute: Callable[[np.ndarray], np.ndarray], point: np.ndarray) -> np.ndarray:
        def compute_and_note() -> np.ndarray:
            checkpoint.print_resumed(len(history) + 1, problem.epochs)
            return compute(point)

        return checkpoint.load_or_compute(point, compute_and_note)

    def objective(point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        result = load_or(compute_loss, point)
        return result[:heads], result[heads:].reshape(heads, -1)

    def to_weights(point: np.ndarray) -> Weights:
        weights = to_kernel(point)
        return Weights(rows.expand_kernel(weights[:-1]), weights[-1])

    def evaluate_point(point: np.ndarray) -> np.ndarray:
        epoch, _ = evaluate_epoch(len(history) + 1, to_weights(point), problem)
        if on_epoch:
            on_epoch(epoch)
        return np.array(astuple(epoch))

    def end_epoch(point: np.ndarray) -> None:
        number, *metrics = load_or(evaluate_point, point)
        history.append(Epoch(int(number), *metrics))

    history: list[Epoch] = []
    point = np.zeros((heads, height * problem.brands))
    for following in iterate_lbfgs(objective, point, problem.epochs):
        point = following
        end_epoch(point)
    if not history:  # identical photos: there is nothing to learn
        end_epoch(point)
    return to_weights(point), history


def _precondition(rows: DesignMatrix, penalty: float) -> np.ndarray:
    """A scale per column, (columns + 1, 1), that makes the loss similarly curved in all columns.

    It reduces the number of steps, and the effect of rounding on the result. Only for rows in a
    basis, whose columns are orthogonal; otherwise all scales are 1.
    """
    if rows.basis is None:
        return np.ones((rows.columns + 1, 1))
    curvatures = _CURVATURE * (rows.each**2).mean(axis=0) + 2 * penalty
    return np.append(curvatures, _CURVATURE)[:, None] ** -_PRECONDITIONING
