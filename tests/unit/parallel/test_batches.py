"""Photos reach the model in order, in full batches, a bounded number of them at a time."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from carbrand.parallel.batches import in_batches, prefetch_map


def test_map_ahead_keeps_the_order():
    def slow_start(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * 2

    assert list(prefetch_map(slow_start, range(20), ahead=4)) == [n * 2 for n in range(20)]


def test_map_ahead_does_not_run_away():
    lock, started = threading.Lock(), []

    def note(number: int) -> int:
        with lock:
            started.append(number)
        return number

    results = prefetch_map(note, range(1000), ahead=5)
    next(results)
    time.sleep(0.05)
    assert len(started) <= 6
    results.close()


def test_map_ahead_raises_what_the_function_raises():
    with pytest.raises(ZeroDivisionError):
        list(prefetch_map(lambda n: 1 // n, [1, 0, 1], ahead=2))


def test_the_last_batch_is_filled_up():
    photos = [np.full((2, 2, 3), n, np.uint8) for n in range(5)]
    batches = list(in_batches(photos, 3))
    assert [batch.shape for batch, _ in batches] == [(3, 2, 2, 3)] * 2
    assert [count for _, count in batches] == [3, 2]
    assert [int(batch[i, 0, 0, 0]) for batch, count in batches for i in range(count)] == [*range(5)]


def test_no_photos_make_no_batch():
    assert list(in_batches([], 3)) == []
