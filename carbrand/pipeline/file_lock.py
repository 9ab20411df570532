"""A file that one process at a time can hold, and nobody after its end, however it ended."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from carbrand.node.errors import UserError

_POLL_S = 0.2
# What systems say of a file that another process holds; the last two on Windows.
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class Busy(Exception):
    """Another process holds it."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the file, as DVC (zc.lockfile) holds its own: they see each other. Raises Busy.

    Raises UserError where the file system cannot do that.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(handle, path)
        try:
            yield
        finally:
            _unlock(handle)
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether another process holds the file."""
    if not path.exists():
        return False
    try:
        with held(path):
            return False
    except Busy:
        return True


@contextmanager
def held_once_free(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the file as soon as it is free; `wait` is called in between, and may give up."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(path))
                break
            except Busy:
                wait()
        yield


def held_within(path: Path, seconds: float) -> AbstractContextManager[None]:
    """Hold the file as soon as it is free. Raises Busy where that takes longer."""
    deadline = time.monotonic() + seconds

    def wait() -> None:
        if time.monotonic() > deadline:
            raise Busy
        time.sleep(_POLL_S)

    return held_once_free(path, wait)


def _lock(handle: int, path: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise Busy from None
        raise UserError(
            f"{path} cannot be locked ({error.strerror}), so nothing would keep two runs apart. "
            f"Put the project on a file system that can, a local disk for instance."
        ) from None


def _unlock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
    # elsewhere, closing it does
