"""Chance that repeats itself: a generator per photo, of which only `random` is ever asked.

The stream of `random` is fixed for good; those of numpy's other distributions may change between
its versions, and the photos with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
Rng = np.random.Generator


def dice(*names: str | int) -> Rng:
    """A generator that depends on nothing but the names."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def between(rng: Rng, low: float, high: float) -> float:
    """A uniform number."""
    return low + (high - low) * float(rng.random())


def pick(rng: Rng, items: Sequence[Item]) -> Item:
    """One of the items, all equally likely."""
    return items[int(rng.random() * len(items))]
