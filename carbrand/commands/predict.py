"""`carbrand predict`: what brand the cars in photos are."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from carbrand.commands.options import MODEL, add_model
from carbrand.dataset import find_files
from carbrand.errors import DONE, UserError
from carbrand.photo import SUFFIXES, UnreadablePhoto
from carbrand.progress import track
from carbrand.ranking import rank
from carbrand.registry.find import find_model


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "predict", help="name the brand of photos", description="Print brands and probabilities."
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="photo or folder")
    add_model(parser)
    parser.add_argument("--top", type=_positive, metavar="K", help="only the K likeliest")
    parser.add_argument("--json", action="store_true", help="print JSON, a record per photo")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """A line or a record per photo; those that cannot be read are named at the end."""
    paths = _find_photos(arguments.paths)  # before anything heavy is imported
    from carbrand.classifier import Classifier

    classifier = Classifier(find_model(arguments.model, Path(), MODEL))
    unreadable: list[UnreadablePhoto] = []
    predicted = track(classifier.predict(paths, unreadable), "Predicting", len(paths))
    records = (
        {"path": path, **rank(prediction.probabilities, classifier.brands, arguments.top)}
        for path, prediction in predicted
    )
    if arguments.json:
        print(json.dumps(list(records), indent=2, ensure_ascii=False))
    else:
        for record in records:
            print(_as_text(record))
    # One bad photo among a thousand does not cost the others.
    if unreadable:
        raise UserError(*(problem for error in unreadable for problem in error.problems))
    return DONE


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _find_photos(paths: Sequence[Path]) -> list[str]:
    """The files among `paths`, and the photos in the folders among them, sorted per folder."""
    found: list[str] = []
    problems = []
    for path in paths:
        if path.is_dir():
            inside = [file.path for file in find_files(path, "") if file.is_named_like_a_photo]
            if not inside:
                problems.append(f"{path} holds no photo ({', '.join(sorted(SUFFIXES))}).")
            found += inside
        elif path.exists():
            found.append(path.as_posix())
        else:
            problems.append(f"{path} does not exist. Name photos or folders of photos.")
    if problems:
        raise UserError(*problems)
    return found


def _as_text(record: dict[str, Any]) -> str:
    shares = [f"{brand} {share:.1%}" for brand, share in record["probabilities"].items()]
    return f"{record['path']}: {', '.join(shares)}"
