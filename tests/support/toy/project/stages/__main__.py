"""`python -m stages` as in the real project; its checks before a run are those of files alone."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from carbrand.commands.preflight import check_files, check_photos_are_here
from carbrand.node.params import read_file
from carbrand.pipeline.repro import start


def check(_nodes: Collection[str] | None, arguments: Sequence[str]) -> None:
    """Raise UserError for params, photos and links that DVC could not read."""
    read_file(Path("params.yaml"))
    check_photos_are_here(pull="--pull" in arguments)
    check_files()


def report(_nodes: Collection[str], _arguments: Sequence[str]) -> None:
    """Nothing: the page says it."""


if __name__ == "__main__":
    sys.exit(start("stages", check, report))
