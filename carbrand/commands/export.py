"""`carbrand export`: write the model for other runtimes, checked against Keras."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from carbrand.commands.options import MODEL, add_model
from carbrand.node.errors import DONE
from carbrand.node.terminal import print_line, print_note
from carbrand.release.registry.find import find_model

_FORMATS = ("savedmodel", "tflite", "tflite_int8", "onnx")
_DISAGREEMENT = 1


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "export",
        help="write the model for other runtimes",
        description="Write FOLDER/<format>/ with the model, labels, preprocessing and a model "
        "card, each checked against the Keras model on training photos.",
    )
    parser.add_argument(
        "--format",
        action="append",
        choices=_FORMATS,
        help="repeatable; default: all whose packages are installed",
    )
    add_model(parser)
    parser.add_argument("--output", type=Path, default=Path("export"), metavar="FOLDER")
    parser.add_argument(
        "--photos",
        type=Path,
        default=Path("Datasets/train"),
        metavar="FOLDER",
        help="training photos for the check and the int8 calibration",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line per format; 1 if one was not kept as it disagrees with Keras."""
    from carbrand.export.export_model import export_model
    from carbrand.export.runtimes.targets import FORMATS, choose_formats, explain_missing

    formats = choose_formats(arguments.format or ())
    for format in FORMATS.values():
        if not arguments.format and format.missing:
            print_note(explain_missing(format))
    model = find_model(arguments.model, Path(), MODEL)
    status = DONE
    for result in export_model(model, formats, arguments.output, arguments.photos):
        if result.kept:
            print_line(result.in_words(), flush=True)
        else:
            print_note(f"error: {result.in_words()}")
            status = _DISAGREEMENT
    return status
