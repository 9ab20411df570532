"""The command line, `carbrand …`; each command is a module of `carbrand.commands`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from carbrand.commands import (
    drift,
    export,
    gate,
    import_photos,
    init,
    predict,
    promote,
    retrain,
    serve,
    suggest,
    sweep,
)
from carbrand.node.errors import exit_status
from carbrand.node.terminal import Parser, print_any_name, restart_in_utf8
from carbrand.pipeline.git import stay_in_own_repository
from carbrand.pipeline.subprocesses import stoppable_exit_status

COMMANDS = (
    init,
    import_photos,
    predict,
    serve,
    drift,
    suggest,
    sweep,
    gate,
    retrain,
    promote,
    export,
)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their arguments; `carbrand --help` prints it."""
    parser = Parser(prog="carbrand", description="Name the brand of photos, and keep models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 done, 1 a check says no, 2 unusable input.

    As a program, without `argv`, SIGTERM lets it clean up before it ends.
    """
    if argv is None:
        restart_in_utf8("carbrand.cli", sys.argv[1:])
    print_any_name()
    stay_in_own_repository(Path())
    arguments = build_parser().parse_args(argv)
    run = stoppable_exit_status if argv is None else exit_status
    return run(lambda: arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
