"""Softmax regression by L-BFGS.

The loss is convex: there is one minimum, and no rate to choose on the way to it. All heads are
minimised together, as the sum of their losses, which share no weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import numpy as np

from carbrand.batches import map_ahead, usable_cores
from carbrand.checkpoint import Checkpoint
from carbrand.history import Epoch
from carbrand.problem import Count, Problem, Weights, softmax_loss
from carbrand.rows import Rows

# Rows that are multiplied at once.
_PORTION = 4096
# Steps that the curvature is estimated from (Liu and Nocedal, Mathematical Programming 45, 1989).
_MEMORY = 10
# The least relative gain of an epoch: there is nothing left to learn.
_LEAST_GAIN = 1e-7


def minimise(problem: Problem, count: Count, checkpoint: Checkpoint) -> tuple[Weights, list[Epoch]]:
    """The weights of all heads at the minimum, or after `problem.epochs` steps towards it.

    With every epoch counted, at least one. What SciPy remembers of its way cannot be kept, but what
    it was told can: told the same again, it goes the same way, to the last bit.
    """
    from scipy.optimize import minimize

    rows = Rows.of(problem.vectors, problem.space)
    shape = (rows.columns + 1, problem.heads * problem.brands)  # the last row is the bias
    penalty = problem.l2 / problem.photos
    step = max(1, _PORTION // problem.views)
    starts = range(0, problem.photos, step)

    def compute_loss(flat: np.ndarray) -> np.ndarray:
        """The loss, and after it the slope."""
        weights = flat.reshape(shape)
        kernel = weights[:-1]
        total = penalty * float((kernel**2).sum())
        slope = np.vstack([2 * penalty * kernel, np.zeros((1, shape[1]))])

        def add(start: int) -> tuple[float, np.ndarray, np.ndarray]:
            photos = slice(start, start + step)
            inputs = rows.take(slice(start * problem.views, (start + step) * problem.views))
            part, outer = softmax_loss(inputs @ kernel + weights[-1], problem, photos)
            return part, inputs.T @ outer, outer.sum(axis=0)

        # In threads, but added up in order: the same sum on any number of cores.
        for part, of_kernel, of_bias in map_ahead(add, starts, ahead=usable_cores()):
            total += part
            slope[:-1] += of_kernel
            slope[-1] += of_bias
        return np.concatenate([[total], slope.ravel()])

    def recall_or(compute: Callable[[np.ndarray], np.ndarray], flat: np.ndarray) -> np.ndarray:
        def ask() -> np.ndarray:
            checkpoint.tell(len(history) + 1, problem.epochs)
            return compute(flat)

        return checkpoint.answer(flat, ask)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        answer = recall_or(compute_loss, flat)
        return float(answer[0]), answer[1:].copy()

    def unfold(flat: np.ndarray) -> Weights:
        weights = flat.reshape(shape)
        return Weights(rows.for_vectors(weights[:-1]), weights[-1])

    def count_at(flat: np.ndarray) -> np.ndarray:
        return np.array(astuple(count(len(history) + 1, unfold(flat))))

    def end_epoch(flat: np.ndarray) -> None:
        number, *rest = recall_or(count_at, flat)
        history.append(Epoch(int(number), *rest))

    history: list[Epoch] = []
    found = minimize(
        loss,
        np.zeros(shape).ravel(),
        jac=True,
        method="L-BFGS-B",
        callback=end_epoch,
        options={
            "maxiter": problem.epochs,
            "maxfun": 3 * problem.epochs,
            "maxcor": _MEMORY,
            "ftol": _LEAST_GAIN,
            "gtol": 0.0,
        },
    )
    if not found.nit:  # photos all alike: there is nothing to learn
        end_epoch(found.x)
    return unfold(found.x), history
