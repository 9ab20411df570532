"""A thread pool for predictions with a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from carbrand.parallel.batches import usable_cores
from carbrand.serve.refusal import Busy

# Each may hold a photo with the most pixels.
MAX_THREADS = 4
# The length of the queue, a few seconds of work.
QUEUE_LENGTH = 32

Result = TypeVar("Result")


class Workers:
    """As many threads as cores, at most MAX_THREADS. Only for the event loop's own thread."""

    def __init__(self, threads: int | None = None, queue_length: int = QUEUE_LENGTH) -> None:
        threads = threads or min(usable_cores(), MAX_THREADS)
        self.threads = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="photo")
        self._capacity = threads + queue_length
        self._pending = 0

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The function's result from a thread. Raises Busy if the queue is full.

        Cancelled in the queue, it never runs; cancelled later, it occupies its thread to the end.
        """
        if self._pending >= self._capacity:
            raise Busy
        loop = asyncio.get_running_loop()
        self._pending += 1
        future = self._threads.submit(function, *arguments)
        future.add_done_callback(lambda done: _call_in_loop(loop, self._release, done))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Cancel the queue without waiting for running functions."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _release(self, _done: Future[Any]) -> None:
        self._pending -= 1


def _call_in_loop(
    loop: asyncio.AbstractEventLoop, what: Callable[[Future[Any]], None], done: Future[Any]
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what, done)
