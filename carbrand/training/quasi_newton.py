"""L-BFGS for several functions at once (Liu and Nocedal, Mathematical Programming 45, 1989).

All functions are evaluated together, but each has its own step sizes and curvature: nothing about
one function influences another. n functions of k variables each; a point is (n, k).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

# Values (n,) and gradients (n, k) of n functions at a point (n, k).
Objective = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
# Steps from which the inverse Hessian is approximated.
_MEMORY = 10
# A function has converged when a step decreases it by no more than this, relative to its value or
# to 1, whichever is larger.
_TOLERANCE = 1e-9
# Line search: the share of the decrease predicted by the gradient that is enough (Armijo), the
# bounds within which a step is shortened, and the most attempts.
_ARMIJO = 1e-4
_SHRINK = 0.1, 0.5
_MAX_TRIES = 20


@dataclass(frozen=True)
class _Iterate:
    """A point (n, k) with the values (n,) and gradients (n, k) there."""

    point: np.ndarray
    values: np.ndarray
    gradients: np.ndarray

    def where(self, chosen: np.ndarray, other: _Iterate) -> _Iterate:
        """This iterate for the chosen functions, (n,) bool, and `other` for the rest."""
        return _Iterate(
            np.where(chosen[:, None], self.point, other.point),
            np.where(chosen, self.values, other.values),
            np.where(chosen[:, None], self.gradients, other.gradients),
        )


def iterate_lbfgs(objective: Objective, start: np.ndarray, max_steps: int) -> Iterator[np.ndarray]:
    """Yield the point (n, k) after each step, until all functions have converged.

    A function that has converged stays where it is. Meant for convex functions.
    """
    current = _Iterate(start, *objective(start))
    hessian = _InverseHessian(current.gradients)
    active = np.asarray(current.gradients.any(axis=1))
    for _ in range(max_steps):
        if not active.any():
            return
        directions = np.where(active[:, None], hessian.directions(current.gradients), 0.0)
        following = _line_search(objective, current, directions)
        hessian.update(following.point - current.point, following.gradients - current.gradients)
        size = np.maximum(1.0, np.maximum(np.abs(current.values), np.abs(following.values)))
        active &= current.values - following.values > _TOLERANCE * size
        current = following
        yield current.point


def _line_search(objective: Objective, start: _Iterate, directions: np.ndarray) -> _Iterate:
    """Backtracking line search (Armijo); a function that no step decreases enough stays at start.

    A step that is too long is shortened to the minimum of a parabola, within _SHRINK.
    """
    slopes = _row_dots(start.gradients, directions)
    step_sizes = np.ones(len(directions))
    searching: np.ndarray = slopes < 0
    accepted = start
    for _ in range(_MAX_TRIES):
        point = start.point + np.where(searching, step_sizes, 0.0)[:, None] * directions
        trial = _Iterate(point, *objective(point))
        changes = trial.values - start.values
        enough = searching & (changes <= _ARMIJO * step_sizes * slopes)
        accepted = trial.where(enough, accepted)
        searching &= ~enough
        if not searching.any():
            break
        excess = changes[searching] - step_sizes[searching] * slopes[searching]
        factors = -0.5 * slopes[searching] * step_sizes[searching] / excess
        step_sizes[searching] *= np.clip(factors, *_SHRINK)
    return accepted


class _InverseHessian:
    """The L-BFGS approximation of each function's inverse Hessian."""

    def __init__(self, gradients: np.ndarray) -> None:
        """Scaled so that the first step has length 1."""
        self._pairs: deque[tuple[np.ndarray, np.ndarray, np.ndarray]] = deque(maxlen=_MEMORY)
        self._scales = 1.0 / np.maximum(np.sqrt(_row_dots(gradients, gradients)), _TINY)

    def update(self, steps: np.ndarray, gradient_changes: np.ndarray) -> None:
        """Add the last steps (n, k) and the changes of the gradients (n, k) along them."""
        products = _row_dots(steps, gradient_changes)
        squares = _row_dots(gradient_changes, gradient_changes)
        curved = products > np.finfo(float).eps * squares  # otherwise it is rounding
        rhos = np.divide(1.0, products, out=np.zeros_like(products), where=curved)
        self._scales = np.divide(products, squares, out=self._scales.copy(), where=curved)
        self._pairs.append((steps, gradient_changes, rhos))

    def directions(self, gradients: np.ndarray) -> np.ndarray:
        """Quasi-Newton directions (n, k), by the two-loop recursion."""
        directions = -gradients
        alphas = []
        for steps, gradient_changes, rhos in reversed(self._pairs):
            alphas.append(rhos * _row_dots(steps, directions))
            directions = directions - alphas[-1][:, None] * gradient_changes
        directions = self._scales[:, None] * directions
        for steps, gradient_changes, rhos in self._pairs:
            betas = rhos * _row_dots(gradient_changes, directions)
            directions = directions + (alphas.pop() - betas)[:, None] * steps
        return directions


_TINY = np.finfo(float).tiny


def _row_dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The scalar products of corresponding rows, (n,)."""
    return np.einsum("nk,nk->n", a, b)
