"""`carbrand suggest`: which of new, unlabelled photos are worth a label."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.commands.drift import MANIFEST, read_vectors
from carbrand.commands.many_photos.found_photos import find_photos, note_ignored
from carbrand.commands.options import MODEL, add_model, positive
from carbrand.node.errors import DONE, UserError
from carbrand.node.files.atomic import atomic_file, write_atomically
from carbrand.node.files.table import write_table
from carbrand.node.progress import track
from carbrand.node.terminal import print_line
from carbrand.node.wording import count
from carbrand.photos.manifest import kept_training_photos, read_manifest
from carbrand.photos.photo import UnreadablePhoto, open_photo
from carbrand.release.registry.find import find_model
from carbrand.scores.files.run_reader import RunReader

COLUMNS = ("path", "why", "predicted", "confidence")


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "suggest",
        help="choose the new photos that are worth a label",
        description="Of a folder of new photos without labels, choose those from which the model "
        "would learn most: unsure, unlike one another and the training photos.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="new photos")
    parser.add_argument(
        "--count", type=positive, default=50, metavar="N", help="how many; default: 50"
    )
    add_model(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("suggestions"),
        metavar="FOLDER",
        help="where suggestions.csv and suggestions.html are written; default: suggestions",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table and the page."""
    from carbrand.checks.copies.fingerprint import perceptual_hash
    from carbrand.model.classifier import Classifier
    from carbrand.model.suggestions import Pool, suggest
    from carbrand.report.suggestion_page import render_suggestions

    if not arguments.folder.is_dir():
        raise UserError(f"{arguments.folder} is not a folder. Give a folder of new photos.")
    found = find_photos([str(arguments.folder)])
    training = kept_training_photos(RunReader().read(MANIFEST, read_manifest))
    classifier = Classifier(find_model(arguments.model, Path(), MODEL))
    unreadable: list[UnreadablePhoto] = []
    predicted = list(
        track(
            classifier.predict(found.photos, unreadable), "Predicting new photos", len(found.photos)
        )
    )
    note_ignored(found, unreadable)
    if not predicted:
        raise UserError(f"{arguments.folder} has no readable photo. Add photos.")
    pool = Pool(
        paths=[path for path, _ in predicted],
        hashes=[perceptual_hash(open_photo(path)) for path, _ in predicted],
        probabilities=np.stack([prediction.probabilities for _, prediction in predicted]),
        vectors=np.stack([prediction.vector for _, prediction in predicted]),
        unknown=np.array([prediction.unknown for _, prediction in predicted]),
    )
    chosen = suggest(
        pool.without_copies([int(row.phash, 16) for row in training]),
        classifier.brands,
        read_vectors(classifier, [row.path for row in training]),
        arguments.count,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    table, page = (arguments.out / f"suggestions.{ending}" for ending in ("csv", "html"))
    with atomic_file(table) as temporary:
        write_table(temporary, COLUMNS, [[getattr(it, name) for name in COLUMNS] for it in chosen])
    write_atomically(page, render_suggestions(chosen, classifier.brands))
    print_line(f"{count(len(chosen), 'photo')} of {len(predicted):,} suggested: {table}, {page}")
    return DONE
