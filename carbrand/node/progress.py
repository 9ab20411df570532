"""A progress bar on a terminal; a few lines at most in logs, CI and pipes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from carbrand.node.terminal import print_line

T = TypeVar("T")
# About how many lines a training of any length writes to a log.
_LINES = 5


def track(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield `items` unchanged; show `what` and the progress out of `total` on stderr."""
    if not sys.stderr.isatty():
        yield from items
        return
    # Imported late: most runs have no terminal, and importing rich takes 0.1 s.
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    yield from rich_track(items, description=what, total=total, console=console, transient=True)


@contextmanager
def training_progress(what: str, epochs: int) -> Iterator[Callable[[int, str], None]]:
    """Yield a function to call after each epoch with its number and its metrics: `loss 0.3`.

    epochs: the maximum. Shows a bar if stderr is a terminal; otherwise prints the first epoch, the
    last and a few in between to stdout.
    """
    if sys.stderr.isatty():
        with _bar(what, epochs) as show:
            yield show
        return
    step = -(-epochs // _LINES)
    shown, last = 0, (0, "")

    def log(epoch: int, how: str) -> None:
        nonlocal shown, last
        last = epoch, how
        if shown == 0 or epoch // step > shown // step:
            shown = epoch
            print_line(f"{what}: epoch {epoch} of at most {epochs}, {how}", flush=True)

    yield log
    if last[0] > shown:
        print_line(f"{what}: ended after epoch {last[0]}, {last[1]}", flush=True)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int, str], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)

        def show(done: int, how: str) -> None:
            progress.update(task, completed=done, description=f"{what}: {how}")

        yield show
