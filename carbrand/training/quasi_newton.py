"""L-BFGS for several functions at once (Liu and Nocedal, Mathematical Programming 45, 1989).

One look serves them all, but each goes its own way, with steps and a curvature of its own: what is
true of one function says nothing to another, not even how far to go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

# Values (n,) and slopes (n, k) of n functions at points (n, k), each function at its own.
Look = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
# Steps that the curvature is estimated from.
_MEMORY = 10
# The least gain of a step, relative to the value or to 1: there is nothing left to gain.
_LEAST_GAIN = 1e-9
# A step must gain this share of what the slope promises (Armijo); else it is made shorter, to
# where a parabola has its minimum, but within these bounds, so many times.
_ENOUGH = 1e-4
_SHORTER = 0.1, 0.5
_TRIES = 20


@dataclass(frozen=True)
class _Place:
    """Points (n, k), and what was seen there."""

    at: np.ndarray
    values: np.ndarray
    slopes: np.ndarray

    def where(self, chosen: np.ndarray, other: _Place) -> _Place:
        """The chosen functions' own, of the others that of another place."""
        return _Place(
            np.where(chosen[:, None], self.at, other.at),
            np.where(chosen, self.values, other.values),
            np.where(chosen[:, None], self.slopes, other.slopes),
        )


def descend(look: Look, start: np.ndarray, most_steps: int) -> Iterator[np.ndarray]:
    """The points (n, k) after each step, until none gains any more.

    A function that gains nothing more stays where it is. Meant for convex ones.
    """
    here = _Place(start, *look(start))
    curvature = _Curvature(here.slopes)
    moving = np.asarray(here.slopes.any(axis=1))
    for _ in range(most_steps):
        if not moving.any():
            return
        ways = np.where(moving[:, None], curvature.ways(here.slopes), 0.0)
        there = _step(look, here, ways)
        curvature.learn(there.at - here.at, there.slopes - here.slopes)
        size = np.maximum(1.0, np.maximum(np.abs(here.values), np.abs(there.values)))
        moving &= here.values - there.values > _LEAST_GAIN * size
        here = there
        yield here.at


def _step(look: Look, here: _Place, ways: np.ndarray) -> _Place:
    """As far along its way as gains enough for each; who finds no such point, stays."""
    promised = _dots(here.slopes, ways)
    lengths = np.ones(len(ways))
    going: np.ndarray = promised < 0
    reached = here
    for _ in range(_TRIES):
        at = here.at + np.where(going, lengths, 0.0)[:, None] * ways
        there = _Place(at, *look(at))
        gained = there.values - here.values
        enough = going & (gained <= _ENOUGH * lengths * promised)
        reached = there.where(enough, reached)
        going &= ~enough
        if not going.any():
            break
        excess = gained[going] - lengths[going] * promised[going]
        lowest = -0.5 * promised[going] * lengths[going] / excess
        lengths[going] *= np.clip(lowest, *_SHORTER)
    return reached


class _Curvature:
    """How the slopes changed along the last steps."""

    def __init__(self, slopes: np.ndarray) -> None:
        """Before the first step: as if one of length 1 led to the minimum."""
        self._steps: deque[tuple[np.ndarray, np.ndarray, np.ndarray]] = deque(maxlen=_MEMORY)
        self._scales = 1.0 / np.maximum(np.sqrt(_dots(slopes, slopes)), np.finfo(float).tiny)

    def learn(self, steps: np.ndarray, changes: np.ndarray) -> None:
        """Steps (n, k) changed the slopes by so much."""
        products, squares = _dots(steps, changes), _dots(changes, changes)
        known = products > np.finfo(float).eps * squares  # else it is rounding
        shares = np.divide(1.0, products, out=np.zeros_like(products), where=known)
        self._scales = np.divide(products, squares, out=self._scales.copy(), where=known)
        self._steps.append((steps, changes, shares))

    def ways(self, slopes: np.ndarray) -> np.ndarray:
        """Where the minima would be if the slopes went on changing so, seen from here (n, k)."""
        ways = -slopes
        weights = []
        for steps, changes, shares in reversed(self._steps):
            weights.append(shares * _dots(steps, ways))
            ways = ways - weights[-1][:, None] * changes
        ways = self._scales[:, None] * ways
        for steps, changes, shares in self._steps:
            ways = ways + (weights.pop() - shares * _dots(changes, ways))[:, None] * steps
        return ways


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The scalar products of rows, (n,)."""
    return np.einsum("nk,nk->n", a, b)
