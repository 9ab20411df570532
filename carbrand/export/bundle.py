"""A folder that is there whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError

CARD = "MODEL_CARD.md"


@dataclass
class NewFolder:
    """An empty folder to write into; it is kept where `good` is set."""

    made: Path
    good: bool = False


def check_replaceable(target: Path) -> None:
    """Raise UserError where `target` holds what no export wrote."""
    if target.exists() and not (target / CARD).is_file():
        raise UserError(
            f"{target} is there and holds no {CARD}, so it is no export. Move it away, or name "
            "another folder with --output."
        )


@contextmanager
def put_in_place(target: Path) -> Iterator[NewFolder]:
    """A folder beside `target`, which takes its place at the end of the block if it is good.

    Else, and with an error, it is deleted, and what was there before stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        new, before = NewFolder(Path(scratch, "made")), Path(scratch, "before")
        new.made.mkdir()
        yield new
        if not new.good:
            return
        if target.exists():
            target.rename(before)
        try:
            new.made.rename(target)
        except OSError:
            if before.exists():
                before.rename(target)
            raise
