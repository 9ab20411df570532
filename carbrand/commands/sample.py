"""`carbrand sample`: draw the photos that a fresh clone runs on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from carbrand.errors import DONE
from carbrand.terminal import print_line


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "sample",
        help="draw the sample photos",
        description="Draw FOLDER/train/<brand>/ and FOLDER/test/<brand>/.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw them, and say how many."""
    from carbrand.sample import draw_sample

    count = draw_sample(arguments.folder)
    print_line(f"{count} photos in {arguments.folder}")
    return DONE
