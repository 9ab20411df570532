"""Prefetching in threads, and batches: photos are decoded while the network computes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

# Fits the cache of common processors, and keeps memory small.
BATCH_SIZE = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """The number of cores that this process may use; in a container, fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prefetch_map(
    function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Generator[Result]:
    """Like `map`, in threads, with at most `ahead` results computed in advance.

    `ThreadPoolExecutor.map` has no such limit.
    """
    with ThreadPoolExecutor(max_workers=usable_cores()) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_batches(photos: Iterable[np.ndarray], size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Stack photos into batches (size, …); yield each with its number of photos.

    The last batch is padded with zeros, so that a compiled model sees a single shape.
    """
    iterator = iter(photos)
    while chunk := list(islice(iterator, size)):
        batch = np.zeros((size, *chunk[0].shape), chunk[0].dtype)
        batch[: len(chunk)] = chunk
        yield batch, len(chunk)
