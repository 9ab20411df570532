"""`python -m tools.sample FOLDER`: draw FOLDER/train/<brand>/ and FOLDER/test/<brand>/."""

from __future__ import annotations

import sys
from pathlib import Path

from carbrand.node.errors import exit_status
from carbrand.node.terminal import Parser, print_line
from tools.sample import draw_sample


def main() -> None:
    """Draw the sample, and print how many photos there are."""
    parser = Parser(prog="python -m tools.sample", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder
    count = draw_sample(folder)
    print_line(f"{count} photos in {folder}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
