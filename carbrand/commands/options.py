"""Arguments of several commands."""

from __future__ import annotations

import argparse

from carbrand.release.registry.load import MODEL as MODEL  # for the commands


def add_model(parser: argparse.ArgumentParser) -> None:
    """--model, an argument for `registry.find.find_model`."""
    parser.add_argument(
        "--model",
        default=MODEL,
        metavar="MODEL",
        help="a file, a revision (branch, tag, commit, experiment), or NAME@STAGE or "
        "NAME@VERSION of a registered model",
    )


def add_against(parser: argparse.ArgumentParser) -> None:
    """--against, the revision to compare with."""
    parser.add_argument(
        "--against",
        metavar="REV",
        help="branch, tag, commit or experiment; default: the main branch",
    )


def positive(text: str) -> int:
    """The type of an argument that is a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)
