"""A few threads that look at photos, and a queue before them that has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from carbrand.parallel.batches import usable_cores
from carbrand.serve.refusal import Busy

# Each may hold a photo of the most pixels.
MAX_THREADS = 4
# Photos that may wait: the last of them waits for a few seconds.
WAITING = 32

Result = TypeVar("Result")


class Workers:
    """As many threads as cores, MAX_THREADS at most. Only for the event loop's own thread."""

    def __init__(self, threads: int | None = None, waiting: int = WAITING) -> None:
        threads = threads or min(usable_cores(), MAX_THREADS)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="photo")
        self._most = threads + waiting
        self._taken = 0

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The function's result, when a thread had time for it. Raises Busy.

        Cancelled while it waits, it is never begun; cancelled later, it keeps its place until the
        thread is free again.
        """
        if self._taken >= self._most:
            raise Busy
        loop = asyncio.get_running_loop()
        self._taken += 1
        future = self._threads.submit(function, *arguments)
        future.add_done_callback(lambda done: _tell(loop, self._leave, done))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Begin nothing more; what runs comes to its end unheard."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _leave(self, _done: Future[Any]) -> None:
        self._taken -= 1


def _tell(
    loop: asyncio.AbstractEventLoop, what: Callable[[Future[Any]], None], done: Future[Any]
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what, done)
