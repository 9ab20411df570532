"""Work spread over all cores, or a cluster, in the order of the items and with bounded memory."""

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

# To start a process costs half a second: for fewer items it does not pay.
_MIN_ITEMS_FOR_PROCESSES = 200
# Items handed to a process at a time.
_CHUNK = 16


def ray_address() -> str | None:
    """The address of the Ray cluster that the user wants photos to be looked at on."""
    return os.environ.get("RAY_ADDRESS") or None


def parallel_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Like `map`, on the cluster where there is one, or else on all cores of this machine.

    `function` and what it returns must be picklable.
    """
    address = ray_address()
    if address:
        from carbrand.parallel.ray_map import map_on_ray

        yield from map_on_ray(function, in_chunks(items), address)
    else:
        yield from map_in_processes(function, items)


def in_chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items, so many together as are handed to a process at a time."""
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, _CHUNK)), [])


def map_in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int | None = None
) -> Iterator[Result]:
    """Like `map`, in as many processes as there are cores; in this one where there are few items.

    `function` and what it returns must be picklable. Processes, because half of looking at a photo
    is Python's own work, which threads of one process do in turns.
    """
    processes = processes or usable_cores()
    iterator = iter(items)
    first = list(islice(iterator, _MIN_ITEMS_FOR_PROCESSES))
    items = chain(first, iterator)
    if processes == 1 or len(first) < _MIN_ITEMS_FOR_PROCESSES:
        yield from map(function, items)
        return
    # `spawn` exists everywhere, and inherits no threads in odd states.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_end_with_parent) as pool:
        # A few chunks ahead of each process; `pool.map` would queue all of them.
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
                "A process that looked at photos was killed, perhaps for lack of memory. "
                "Free some and run it again."
            ) from None
        finally:
            for future in waiting:
                future.cancel()


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and wait for no work from one that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _apply(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
