"""Arithmetic whose bits do not depend on the number of cores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside, a matrix product runs in the thread that asks for it.

    Shared among threads, its sums are put together in another order, and their last bits are
    others. Whoever has much to multiply gives portions to threads and adds them up in order. (For
    small matrices one thread is quicker too.)
    """
    # Only libraries that are loaded are limited.
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
