"""The entry point of a node: `python -m stages.<node> PATH…`, one path per argument of `main`.

The first path is params.yaml, the last one the output folder, which is written atomically when
`main` returns. A node ends when the DVC that started it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path

from carbrand.node.code import check_installed
from carbrand.node.errors import INTERRUPTED, exit_status
from carbrand.node.files.atomic import atomic_files
from carbrand.node.params import require_unchanged_section
from carbrand.node.processes import (
    Parents,
    Stopped,
    parents_up_to_dvc,
    raise_on_signals,
    restore_signals,
)
from carbrand.node.terminal import Parser, print_note

# Environment variable: a file to which each started node appends its name, one per line.
STARTED_NODES = "CARBRAND_STARTED_NODES"


def start(main: Callable[..., None], of_validate: type | None = None) -> None:
    """Call `main` with the paths of the command line, and exit with its status.

    of_validate: a dataclass of the keys that `main` reads from the section `validate`, if any.
    """
    module = inspect.getmodule(main)
    node = Path(inspect.getfile(main)).stem
    parser = Parser(
        prog=f"python -m stages.{node}",
        description=module.__doc__ if module else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in inspect.signature(main).parameters:
        parser.add_argument(name, type=Path)
    paths = list(vars(parser.parse_args()).values())
    parents = Parents(())
    try:
        raise_on_signals()
        parents = parents_up_to_dvc()
        parents.exit_with_parents()
        _record_start(node)
        status = exit_status(lambda: _run_atomically(main, node, paths, parents, of_validate))
        restore_signals()
    except Stopped as stopped:
        if parents.alive():  # otherwise the parent reports it
            with contextlib.suppress(OSError):  # the terminal may be gone
                print_note("stopped")
        os._exit(stopped.exit_status)  # do not wait for threads
    if status == INTERRUPTED:
        os._exit(status)
    sys.exit(status)


def _record_start(node: str) -> None:
    """Append the node to the file of started nodes: those it lacks were DVC cache hits."""
    listed = os.environ.get(STARTED_NODES)
    if listed:
        with contextlib.suppress(OSError), Path(listed).open("ab") as file:
            file.write(f"{node}\n".encode())


def _run_atomically(
    main: Callable[..., None],
    node: str,
    paths: list[Path],
    parents: Parents,
    of_validate: type | None,
) -> None:
    params, *inputs, out = paths
    check_installed(params.parent)
    with contextlib.ExitStack() as stack:
        fresh = stack.enter_context(atomic_files(out, parents))
        stack.enter_context(require_unchanged_section(params, node))
        if of_validate:
            stack.enter_context(require_unchanged_section(params, "validate", of_validate))
        main(params, *inputs, fresh)
