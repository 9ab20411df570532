"""`carbrand predict`: predict the brands of photos."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.commands.many_photos.brand_folders import check_folder, name_unknown, sort_photos
from carbrand.commands.many_photos.found_photos import Found, describe_unreadable, find_photos
from carbrand.commands.options import MODEL, add_model, positive
from carbrand.node.errors import DONE, UserError
from carbrand.node.files.table import read_whole_rows
from carbrand.node.progress import track
from carbrand.node.terminal import print_json, print_line, print_note
from carbrand.node.wording import count
from carbrand.photos.photo import UnreadablePhoto
from carbrand.release.registry.find import find_model

if TYPE_CHECKING:
    from carbrand.model.classifier import Classifier


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "predict",
        help="predict the brands of photos",
        description="Print the probabilities of the brands of photos, write a table, or sort the "
        "photos. Exit status: 0 done, 2 if a photo could not be read (the others are predicted "
        "nevertheless).",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="photo, folder or quoted pattern ('photos/**/*.jpg'), or - for a photo on stdin",
    )
    parser.add_argument(
        "--from", dest="listed_in", metavar="FILE", help="a list of paths, one per line; - is stdin"
    )
    add_model(parser)
    parser.add_argument("--top", type=positive, metavar="K", help="only the K most probable")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON with one record per photo")
    output.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write a row per photo; killed, the same command goes on where it was",
    )
    parser.add_argument(
        "--sort", type=Path, metavar="FOLDER", help="put links to the photos in folders by brand"
    )
    parser.add_argument("--copy", action="store_true", help="with --sort: copies in place of links")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict the photos, and name the unreadable ones at the end."""
    _check_options(arguments)
    # Before anything heavy is imported.
    found = find_photos(arguments.paths, arguments.listed_in)
    if not found.photos:
        raise UserError(*found.left_out)
    from carbrand.model.classifier import Classifier

    model = find_model(arguments.model, Path(), MODEL)
    classifier = Classifier(model)
    if arguments.csv or arguments.sort:
        problems = _write(arguments, found, model, classifier)
    else:
        problems = _print(arguments, found, classifier)
    # One bad photo among a thousand does not cost the others.
    if found.left_out or problems:
        raise UserError(*found.left_out, *problems)
    return DONE


def _check_options(arguments: argparse.Namespace) -> None:
    if arguments.copy and not arguments.sort:
        raise UserError("--copy says how --sort sorts. Give --sort FOLDER too.")
    if (arguments.csv or arguments.sort) and (arguments.top or arguments.json):
        raise UserError("--top and --json are for what is printed. Leave them out.")
    if arguments.sort and "-" in arguments.paths:
        raise UserError("--sort needs files, and `-` is none. Give the file.")
    if arguments.sort:
        check_folder(arguments.sort)
    if arguments.csv and (arguments.csv.exists() and not arguments.csv.is_file()):
        raise UserError(f"{arguments.csv} is not a file. Give --csv the name of a file.")
    if arguments.csv and not arguments.csv.parent.is_dir():
        raise UserError(f"There is no folder {arguments.csv.parent} for {arguments.csv.name}.")


def _print(arguments: argparse.Namespace, found: Found, classifier: Classifier) -> list[str]:
    """Print a line or a record per photo; returns a message for each unreadable one."""
    from carbrand.model.classifier import describe

    problems: list[str] = []

    def records() -> Iterator[dict[str, Any]]:
        outcomes = classifier.predict_each(found.photos, found.read)
        for path, outcome in track(outcomes, "Predicting", len(found.photos)):
            if isinstance(outcome, UnreadablePhoto):
                problems.append(describe_unreadable(outcome))
            else:
                yield {"path": path, **describe(outcome, classifier.brands, arguments.top)}

    if arguments.json:
        print_json(list(records()))
    else:
        for record in records():
            print_line(_as_text(record))
    return problems


def _write(
    arguments: argparse.Namespace, found: Found, model: Path, classifier: Classifier
) -> list[str]:
    """Write the table, and sort the photos; returns a message if some are unreadable."""
    from carbrand.commands.many_photos.predictions_table import predictions_table

    brands, counts = classifier.brands, Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        path = arguments.csv or Path(scratch, "all.csv")
        with predictions_table(path, model, brands, found.photos, found.read) as table:
            if table.done:
                print_note(f"note: going on after {count(table.done, 'photo')} of an earlier run.")
            rest = found.photos[table.done :]
            outcomes = classifier.predict_each(rest, found.read)
            for photo, outcome in track(outcomes, "Predicting", len(rest)):
                table.add(photo, outcome)
            places = _places(table.part, name_unknown(brands), counts)
            if arguments.sort:
                sort_photos(arguments.sort, places, arguments.copy)
            else:
                deque(places, maxlen=0)
    unreadable = counts.pop("", 0)
    by_place = ", ".join(f"{name} {many:,}" for name, many in sorted(counts.items())) or "none"
    written = ", ".join(str(path) for path in (arguments.csv, arguments.sort) if path)
    print_line(f"{count(counts.total(), 'photo')} predicted ({by_place}): {written}")
    where = f"the column `error` of {arguments.csv} says" if arguments.csv else "--csv FILE writes"
    return [f"{count(unreadable, 'photo')} could not be read; {where} why."] * (unreadable > 0)


def _places(table: Path, unknown: str, counts: Counter[str]) -> Iterator[tuple[str, str]]:
    """Each readable photo with the folder that it belongs into; counts all, by folder."""
    for row in read_whole_rows(table):
        place = unknown if row["unknown"] == "True" else row["predicted"]
        counts[place] += 1
        if place:
            yield row["path"], place


def _as_text(record: dict[str, Any]) -> str:
    brands = [f"{brand} {p:.1%}" for brand, p in record["probabilities"].items()]
    mark = " (unknown)" if record["unknown"] else ""
    return f"{record['path']}: {', '.join(brands)}{mark}"
