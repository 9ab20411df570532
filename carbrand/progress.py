"""A progress bar on a terminal, silence everywhere else (logs, CI, pipes)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield `items` unchanged, showing `what` and how many of `total` are done, on stderr."""
    if not sys.stderr.isatty():
        yield from items
        return
    # Imported late: most runs have no terminal, and rich costs a tenth of a second.
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    yield from rich_track(items, description=what, total=total, console=console, transient=True)
