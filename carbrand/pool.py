"""Work spread over all cores, in the order of the items and with bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from carbrand.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

# To start a process costs half a second: for fewer items it does not pay.
_WORTH_PROCESSES = 200
# Items handed to a process at a time.
_CHUNK = 16


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int | None = None
) -> Iterator[Result]:
    """Like `map`, in as many processes as there are cores; in this one where there are few items.

    `function` and what it returns must be picklable. Processes, because half of looking at a photo
    is Python's own work, which threads of one process do in turns.
    """
    processes = processes or _cores()
    if processes == 1 or len(items) < _WORTH_PROCESSES:
        yield from map(function, items)
        return
    # `spawn` exists everywhere, and inherits no threads in odd states.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_leave_ctrl_c_to_parent) as pool:
        # A few chunks ahead of each process; `pool.map` would queue all of them.
        chunks = (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
        waiting: deque[Future[list[Result]]] = deque()
        try:
            while True:
                for chunk in islice(chunks, 3 * processes - len(waiting)):
                    waiting.append(pool.submit(_apply, function, chunk))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "A process that looked at photos was killed, perhaps for lack of memory. "
                "Free some and run it again."
            ) from None
        finally:
            for future in waiting:
                future.cancel()


def _cores() -> int:
    """The cores that this process may use; a container often grants fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _leave_ctrl_c_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _apply(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
