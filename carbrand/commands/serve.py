"""`carbrand serve`: a local page and a JSON endpoint that predict the brand of a photo."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from carbrand.commands.options import MODEL, add_model
from carbrand.node.errors import UserError
from carbrand.release.registry.find import find_model


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "serve",
        help="predict the brands of photos on a local web page",
        description="Serve a page to drop photos on, and POST /predict, which returns JSON.",
    )
    add_model(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="default: 127.0.0.1, reachable from this machine only",
    )
    parser.add_argument(
        "--port", type=_port, default=8000, metavar="N", help="default: 8000; 0 for any free port"
    )
    parser.add_argument(
        "--max-mb", type=_megabytes, default=20, metavar="N", help="the largest photo; default: 20"
    )
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FOLDER",
        help="keep measures, vector and prediction of each photo there, but no photo, for "
        "`carbrand drift FOLDER`; default: nothing is kept",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if importlib.util.find_spec("aiohttp") is None:
        raise UserError(
            "carbrand serve needs aiohttp. Install it with `pip install -e '.[serve]'`."
        )
    from carbrand.serve.server import serve

    model = find_model(arguments.model, Path(), MODEL)
    return serve(model, arguments.host, arguments.port, arguments.max_mb, arguments.log)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"must be a whole number up to 65535, got {text!r}")
    return int(text)


def _megabytes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 300:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 300, got {text!r}")
    return int(text)
