"""The command line, `carbrand …`: each command is a few lines over a function of this package."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.dataset import find_files
from carbrand.errors import DONE, UserError, exit_status
from carbrand.photo import SUFFIXES, UnreadablePhoto
from carbrand.predictions_file import PROBABILITY_DECIMALS
from carbrand.progress import track

DEFAULT_MODEL = Path("artifacts/train/model.h5")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their arguments; `carbrand --help` prints it."""
    parser = argparse.ArgumentParser(prog="carbrand", description="Which brand is this car?")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    predict = commands.add_parser(
        "predict", help="name the brand of photos", description="Print brands and probabilities."
    )
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="photo or folder")
    predict.add_argument("--model", type=Path, default=DEFAULT_MODEL, metavar="FILE")
    predict.add_argument("--top", type=_positive, metavar="K", help="only the K likeliest")
    predict.add_argument("--json", action="store_true", help="print JSON, a record per photo")
    predict.set_defaults(run=_predict)

    sample = commands.add_parser(
        "sample",
        help="draw the sample photos",
        description="Draw FOLDER/train/<brand>/ and FOLDER/test/<brand>/.",
    )
    sample.add_argument("folder", type=Path, metavar="FOLDER")
    sample.set_defaults(run=_sample)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 done, 1 a check says no, 2 unusable input."""
    # A file name that the terminal cannot show must not cost the answers for all others.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = build_parser().parse_args(argv)
    return exit_status(lambda: arguments.run(arguments))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _predict(arguments: argparse.Namespace) -> int:
    paths = _find_photos(arguments.paths)  # before anything heavy is imported
    from carbrand.classifier import Classifier

    classifier = Classifier(arguments.model)
    unreadable: list[UnreadablePhoto] = []
    predicted = track(classifier.predict(paths, unreadable), "Predicting", len(paths))
    records = (
        _describe(path, prediction.probabilities, classifier.brands, arguments.top)
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


def _describe(
    path: str, probabilities: np.ndarray, brands: Sequence[str], top: int | None
) -> dict[str, Any]:
    shares = [round(float(share), PROBABILITY_DECIMALS) for share in probabilities]
    order = np.argsort(-np.array(shares), kind="stable")[:top]
    likely = {brands[label]: shares[label] for label in order}
    brand = brands[order[0]]
    return {"path": path, "brand": brand, "confidence": likely[brand], "probabilities": likely}


def _as_text(record: dict[str, Any]) -> str:
    shares = [f"{brand} {share:.1%}" for brand, share in record["probabilities"].items()]
    return f"{record['path']}: {', '.join(shares)}"


def _sample(arguments: argparse.Namespace) -> int:
    from carbrand.sample import draw_sample

    count = draw_sample(arguments.folder)
    print(f"{count} photos in {arguments.folder}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
