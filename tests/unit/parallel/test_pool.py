"""Work in several processes gives what work in one gives, and ends cleanly."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from carbrand.node.errors import UserError
from carbrand.parallel import pool
from carbrand.parallel.pool import in_chunks, map_in_processes, parallel_map, ray_address


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def square_together(number: int, folder: Path) -> tuple[int, int]:
    """Waits for a second process: one could be done with all items before another has started."""
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return square(number)


def fail_at(number: int, where: int) -> int:
    if number == where:
        raise ValueError(f"at {number}")
    return number


def die_at(number: int, where: int) -> int:
    if number == where:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_the_order_of_the_items_from_several_processes(tmp_path):
    items = range(pool._MIN_ITEMS_FOR_PROCESSES + 37)
    together = partial(square_together, folder=tmp_path)
    results = list(map_in_processes(together, items, processes=2))
    assert [value for value, _ in results] == [n * n for n in items]
    assert os.getpid() not in {process for _, process in results}
    assert len({process for _, process in results}) == 2


def test_few_items_start_no_process():
    results = list(map_in_processes(square, range(pool._MIN_ITEMS_FOR_PROCESSES - 1), processes=2))
    assert {process for _, process in results} == {os.getpid()}


def test_an_error_reaches_the_caller():
    with pytest.raises(ValueError, match="at 250"):
        list(map_in_processes(partial(fail_at, where=250), range(400), processes=2))


def test_a_killed_process_is_one_clear_line():
    with pytest.raises(UserError, match="was killed, perhaps for lack of memory"):
        list(map_in_processes(partial(die_at, where=250), range(400), processes=2))


def test_no_more_is_asked_for_than_the_processes_are_about_to_do():
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield asked

    results = map_in_processes(square, endless(), processes=2)
    first = [next(results)[0] for _ in range(10)]
    del results  # and so ends the processes
    assert first == [number * number for number in range(1, 11)]
    # Those that decide whether it pays, and a few chunks for each process.
    assert asked <= pool._MIN_ITEMS_FOR_PROCESSES + 4 * 2 * pool._CHUNK


def test_chunks_hold_every_item_once_and_in_order():
    chunks = list(in_chunks(range(2 * pool._CHUNK + 1)))
    assert [len(chunk) for chunk in chunks] == [pool._CHUNK, pool._CHUNK, 1]
    assert [item for chunk in chunks for item in chunk] == list(range(2 * pool._CHUNK + 1))
    assert list(in_chunks([])) == []


def test_without_a_cluster_work_stays_on_this_machine(monkeypatch):
    for unset in (None, ""):
        if unset is None:
            monkeypatch.delenv("RAY_ADDRESS", raising=False)
        else:
            monkeypatch.setenv("RAY_ADDRESS", unset)
        assert ray_address() is None
        assert list(parallel_map(square, range(3))) == [(n * n, os.getpid()) for n in range(3)]


def test_with_a_cluster_named_work_goes_there(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "names-no-port")
    with pytest.raises(UserError, match="RAY_ADDRESS"):
        list(parallel_map(square, range(3)))
