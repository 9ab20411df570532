"""A parallel `map` over all cores or a Ray cluster: results in order, bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TypeVar

from carbrand.node.errors import UserError
from carbrand.parallel.batches import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting a process takes half a second.
_MIN_ITEMS_FOR_PROCESSES = 200
# Items per task.
_CHUNK = 16


def ray_address() -> str | None:
    """The address of the Ray cluster to use, or None."""
    return os.environ.get("RAY_ADDRESS") or None


def parallel_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Like `map`, on the Ray cluster if one is configured, otherwise on all cores.

    `function` and its results must be picklable.
    """
    address = ray_address()
    if address:
        from carbrand.parallel.ray_map import map_on_ray

        yield from map_on_ray(function, in_chunks(items), address)
    else:
        yield from map_in_processes(function, items)


def in_chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Group the items into lists of _CHUNK; the last one may be shorter."""
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, _CHUNK)), [])


def map_in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int | None = None
) -> Iterator[Result]:
    """Like `map`, in one process per core; in this process if there are few items.

    `function` and its results must be picklable. Processes rather than threads, because half of the
    work on a photo holds the GIL.
    """
    processes = processes or usable_cores()
    iterator = iter(items)
    first = list(islice(iterator, _MIN_ITEMS_FOR_PROCESSES))
    items = chain(first, iterator)
    if processes == 1 or len(first) < _MIN_ITEMS_FOR_PROCESSES:
        yield from map(function, items)
        return
    # `spawn` works on every platform, and is safe with threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_end_with_parent) as pool:
        # A few chunks per process in advance; `pool.map` would queue all of them.
        chunks = in_chunks(items)
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
                "A worker process was killed, perhaps for lack of memory. Free some memory and run "
                "it again."
            ) from None
        finally:
            for future in waiting:
                future.cancel()


def _end_with_parent() -> None:
    """Initialize a worker: ignore Ctrl-C, which the parent handles, and exit with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _apply(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
