"""`carbrand drift`: whether new photos are unlike those of training and testing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from carbrand.commands.many_photos.found_photos import find_photos, note_ignored
from carbrand.commands.options import MODEL, add_model
from carbrand.model.drift_params import MIN_PHOTOS, DriftParams
from carbrand.node.errors import DONE, UserError
from carbrand.node.params import read_section
from carbrand.node.progress import track
from carbrand.node.terminal import print_json, print_line, print_note
from carbrand.node.wording import count
from carbrand.photos.manifest import kept_training_photos, read_manifest
from carbrand.release.registry.find import find_model
from carbrand.scores.files.predictions_file import read_predictions
from carbrand.scores.files.run_reader import RunReader

if TYPE_CHECKING:
    from carbrand.model.classifier import Classifier
    from carbrand.model.observation import Observation
    from carbrand.photos.photo import UnreadablePhoto

DRIFT = 1
PARAMS = Path("params.yaml")
MANIFEST = Path("artifacts/validate/manifest.csv")
PREDICTIONS = Path("artifacts/evaluate/predictions.csv")
# Of training and of leak-free test photos.
MIN_KNOWN = 5
Item = TypeVar("Item")


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "drift",
        help="compare new photos with those of the training",
        description="Compare the log of `carbrand serve --log`, or a folder of new photos, with "
        "the photos here. Exit status: 0 no drift, 1 drift, 2 cannot be compared.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a log, or new photos")
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what was compared; the exit status says whether there is drift."""
    from carbrand.model.classifier import Classifier
    from carbrand.model.drift import compare_photos, without_repeats
    from carbrand.model.looks_file import record_look
    from carbrand.serve.photo_log import is_log

    params = read_section(PARAMS, "drift", DriftParams)
    if not arguments.folder.is_dir():
        raise UserError(f"{arguments.folder} is not a folder. Give a log, or a folder of photos.")
    reader = RunReader()
    training = kept_training_photos(reader.read(MANIFEST, read_manifest))
    tested = [p.path for p in reader.read(PREDICTIONS, read_predictions)[0] if not p.leaked]
    model = find_model(arguments.model, Path(), MODEL)
    classifier = Classifier(model)
    logged = is_log(arguments.folder)
    if logged:
        new = _read_log(arguments.folder, model)[-params.photos :]
    else:
        new = _observe(arguments.folder, classifier, params.photos)
    new = without_repeats(new)
    _check(new, MIN_PHOTOS, arguments.folder)
    _check(training, MIN_KNOWN, MANIFEST)
    _check(tested, MIN_KNOWN, PREDICTIONS)
    measures = compare_photos(
        new,
        read_vectors(classifier, _evenly([row.path for row in training], params.photos)),
        read_vectors(classifier, _evenly(tested, params.photos)),
        training,
        params,
    )
    report = {
        "drift": any(measure.drift for measure in measures),
        "photos": len(new),
        "look": record_look(arguments.folder, new, measures, params.looks) if logged else None,
        "measures": [
            {
                "name": measure.name,
                "p": measure.pvalue,
                "level": measure.level,
                "drift": measure.drift,
                "summary": measure.summary,
                "photos": measure.photos,
            }
            for measure in measures
        ],
    }
    if arguments.json:
        print_json(report)
    else:
        _print_text(report, params.looks)
    return DRIFT if report["drift"] else DONE


def _read_log(folder: Path, model: Path) -> list[Observation]:
    """The photos in the log that this model has predicted."""
    from carbrand.model.observation import hash_model
    from carbrand.serve.photo_log import read_log

    log = read_log(folder, hash_model(model))
    if log.damaged:
        print_note(f"note: {folder}: ignored {count(log.damaged, 'damaged line')}.")
    if log.other:
        problem = f"{folder}: {count(log.other, 'photo')} of another model than {model}"
        if not log.photos:
            raise UserError(f"{problem}, and none of this one. Name the model with --model.")
        print_note(f"note: {problem}, ignored.")
    return log.photos


def _observe(folder: Path, classifier: Classifier, most: int) -> list[Observation]:
    """At most so many photos in the folder; unreadable ones are noted."""
    from carbrand.model.observation import observe_files

    found = find_photos([str(folder)])
    unreadable: list[UnreadablePhoto] = []
    paths = _evenly(found.photos, most)
    observed = list(observe_files(classifier, paths, "Predicting new photos", unreadable))
    note_ignored(found, unreadable)
    return observed


def _check(photos: Sequence[object], least: int, what: Path) -> None:
    if len(photos) < least:
        raise UserError(
            f"{what}: {count(len(photos), 'photo')} to compare, expected at least {least}. "
            "Add photos, or wait for more."
        )


def _evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the items, evenly spread."""
    chosen = min(len(items), most)
    return [items[number * len(items) // chosen] for number in range(chosen)]


def read_vectors(classifier: Classifier, paths: Sequence[str]) -> np.ndarray:
    """The vectors of photos, (n, d) float32."""
    predicted = track(classifier.predict(paths), "Predicting known photos", len(paths))
    return np.stack([prediction.vector for _, prediction in predicted])


def _print_text(report: dict[str, Any], looks: int) -> None:
    for measure in report["measures"]:
        found = measure["summary"] if measure["drift"] else "no difference beyond chance"
        print_line(f"{measure['name']}: {found} (p = {measure['p']:.2g})")
        if measure["drift"]:
            print_line(f"  look at {', '.join(measure['photos'])}")
    compared = f"{count(report['photos'], 'new photo')} compared"
    if report["look"]:
        compared += f", look {report['look']} of {looks}"
    print_line(f"{'Drift' if report['drift'] else 'No drift'}: {compared}.")
