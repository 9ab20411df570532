"""`… lock_merge install`, which `make` calls, and `… lock_merge merge`, which Git calls."""

from __future__ import annotations

import sys
from pathlib import Path

from carbrand.node.errors import DONE, exit_status
from carbrand.node.terminal import Parser
from carbrand.pipeline.lock_merge.driver import merge_files
from carbrand.pipeline.lock_merge.git_config import install


def main() -> int:
    """Run the one that is asked for; the status is 0, or 1 for a conflict."""
    parser = Parser(prog="python -m carbrand.pipeline.lock_merge", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="tell this clone of Git how to merge dvc.lock")
    merge = commands.add_parser("merge", help="merge three versions; the second one becomes it")
    for version in ("base", "ours", "theirs"):
        merge.add_argument(version, type=Path)
    arguments = parser.parse_args()
    if arguments.command == "merge":
        return merge_files(arguments.base, arguments.ours, arguments.theirs)
    install()
    return DONE


if __name__ == "__main__":
    sys.exit(exit_status(main))
