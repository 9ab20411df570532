"""A file that one process at a time can hold, and nobody after its end, however it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from carbrand.node.errors import UserError

_POLL_S = 0.2


class Busy(Exception):
    """Another process holds it."""


@contextmanager
def held_within(path: Path, seconds: float) -> Iterator[None]:
    """Hold the file as soon as it is free. Raises Busy where that takes longer.

    DVC (zc.lockfile) holds its own files in the same way: they see each other. Raises UserError
    where the file system cannot do that; a lock that a killed process would leave behind is none.
    """
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=seconds, poll_interval=_POLL_S)
    except Timeout:
        raise Busy from None
    except OSError as error:
        raise UserError(
            f"{path} cannot be locked ({error.strerror}), so nothing would keep two runs apart. "
            f"Put the project on a file system that can, a local disk for instance."
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether another process holds the file."""
    if not path.exists():
        return False
    try:
        with held_within(path, 0):
            return False
    except Busy:
        return True


@contextmanager
def held_once_free(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the file as soon as it is free; `wait` is called in between, and may give up."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held_within(path, 0))
                break
            except Busy:
                wait()
        yield
