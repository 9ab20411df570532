"""Work in several processes gives what work in one gives, and ends cleanly."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from carbrand import pool
from carbrand.errors import UserError
from carbrand.pool import map_in_processes


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def fail_at(number: int, where: int) -> int:
    if number == where:
        raise ValueError(f"at {number}")
    return number


def die_at(number: int, where: int) -> int:
    if number == where:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_the_order_of_the_items_from_several_processes():
    items = range(pool._WORTH_PROCESSES + 37)
    results = list(map_in_processes(square, items, processes=2))
    assert [value for value, _ in results] == [n * n for n in items]
    assert os.getpid() not in {process for _, process in results}
    assert len({process for _, process in results}) == 2


def test_few_items_start_no_process():
    results = list(map_in_processes(square, range(pool._WORTH_PROCESSES - 1), processes=2))
    assert {process for _, process in results} == {os.getpid()}


def test_an_error_reaches_the_caller():
    with pytest.raises(ValueError, match="at 250"):
        list(map_in_processes(partial(fail_at, where=250), range(400), processes=2))


def test_a_killed_process_is_one_clear_line():
    with pytest.raises(UserError, match="was killed, perhaps for lack of memory"):
        list(map_in_processes(partial(die_at, where=250), range(400), processes=2))
