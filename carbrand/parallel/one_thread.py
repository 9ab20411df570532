"""Linear algebra whose results are bitwise the same on any number of cores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the block.

    With several threads, sums are added in another order, so their last bits differ. For large
    products, split the rows over threads and add the results in order. (For small ones, one thread
    is faster anyway.)
    """
    # threadpoolctl limits only libraries that are loaded.
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
