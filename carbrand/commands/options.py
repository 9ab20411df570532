"""Arguments that several commands have."""

from __future__ import annotations

import argparse

# Where the pipeline writes the model, in every revision.
MODEL = "artifacts/train/model.h5"


def add_model(parser: argparse.ArgumentParser) -> None:
    """--model: what `registry.find.find_model` takes."""
    parser.add_argument(
        "--model",
        default=MODEL,
        metavar="MODEL",
        help="a file, a revision (branch, tag, commit, experiment), or NAME@STAGE or "
        "NAME@VERSION of a registered model",
    )


def add_against(parser: argparse.ArgumentParser) -> None:
    """--against: the revision that a model is compared with."""
    parser.add_argument(
        "--against",
        metavar="REV",
        help="branch, tag, commit or experiment; without it the main branch",
    )
