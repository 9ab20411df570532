"""`python -m carbrand …` is `carbrand …`; `setup`, `repro` and `test` are those of make."""

from __future__ import annotations

import sys

from carbrand.node.errors import exit_status
from carbrand.pipeline.virtual_environment import PROGRAMS, run_in_environment


def main() -> int:
    """Run a command. The command line is imported late: there may be no packages yet."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in PROGRAMS:
        return exit_status(lambda: run_in_environment(arguments[0], arguments[1:]))
    from carbrand.cli import main as run_command

    return run_command()


if __name__ == "__main__":
    sys.exit(main())
