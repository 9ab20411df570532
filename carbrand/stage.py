"""How a node is started: `python -m stages.<node> PATH…`, a path for each argument of `main`."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from carbrand.errors import exit_status


def start(main: Callable[..., None]) -> None:
    """Call `main` with the paths of the command line, in order, and leave with its exit status."""
    module = inspect.getmodule(main)
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{Path(inspect.getfile(main)).stem}",
        description=module.__doc__ if module else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in inspect.signature(main).parameters:
        parser.add_argument(name, type=Path)
    sys.exit(exit_status(lambda: main(**vars(parser.parse_args()))))
