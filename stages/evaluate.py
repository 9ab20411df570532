"""Predict every test photo with the model that ships, and score the predictions.

Reads the model, the test photos, which of them `validate` and `features` found to be copies, and
for a map what the frozen backbone saw of all photos: a tuned one sees them elsewhere. The numbers
come from the very file and the very decode function that `carbrand predict` uses.
Writes `predictions.csv`, `metrics.json`, `brands.csv` (its scores per brand, for `dvc plots`),
`suspects.csv` (test photos whose brand looks wrong), `copies.csv`, `map.csv`, `origin.json`, and
for the report `heatmaps.npy` and `vectors.npy`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.model.classifier import Classifier, Prediction
from carbrand.model.heatmap import align_with_photo
from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import write_metrics
from carbrand.node.origin import write_origin
from carbrand.node.params import knob, read_keys, read_section
from carbrand.node.progress import track
from carbrand.node.start import start
from carbrand.node.wording import one_line
from carbrand.photos.copies_file import Copy, read_copies, write_copies
from carbrand.photos.manifest import Row, evaluated_test_photos, read_manifest, suspected_leaks
from carbrand.photos.photo import other_decoders
from carbrand.photos.resizing import ResizePolicy
from carbrand.photos.severities import CopySeverities, TestSeverities, without_ignored
from carbrand.scores.evaluation import (
    PredictedPhoto,
    count_confusion,
    evaluate_photos,
    make_predicted,
)
from carbrand.scores.files.brands_file import write_brands
from carbrand.scores.files.map_file import write_map
from carbrand.scores.files.predictions_file import (
    PIXEL_DIGITS,
    PROBABILITY_DECIMALS,
    read_predictions,
    write_predictions,
)
from carbrand.scores.files.suspects_file import write_suspects
from carbrand.scores.held_out_score import score_gap
from carbrand.scores.invariants import (
    check_accuracy,
    check_brands,
    check_probabilities,
    check_rows,
    check_sets,
)
from carbrand.scores.label_issues import find_test_suspects
from carbrand.scores.projection import map_photos
from carbrand.vectors.array_file import iter_rows, open_rows, write_rows
from carbrand.vectors.feature_store import read_features, read_test_series, read_test_vectors
from carbrand.vectors.leaks import classify_copies, mark_leaks
from carbrand.vectors.training_copies import read_unlearned

PACKAGES = ("carbrand", "keras", "numpy", "openvino", "pillow", "tensorflow")
_NOTHING = np.empty(0, np.float32)


@dataclass(frozen=True)
class EvaluateParams:
    """How the numbers are counted; see params.yaml."""

    ece_bins: int = knob(low=2, high=100)


@dataclass(frozen=True)
class Predicted:
    """What was predicted of photos, by row. The last two are files mapped into memory.

    predictions: of each path, without their vectors and heat maps. vectors (n, d), heatmaps
    (n, h, w): as in Prediction.
    """

    paths: list[str]
    predictions: list[Prediction]
    vectors: np.ndarray
    heatmaps: np.ndarray


def predict(classifier: Classifier, rows: Sequence[Row], scratch: Path) -> Predicted:
    """Predict the photo of every row; vectors and heat maps become files in `scratch`."""
    paths: list[str] = []
    small: list[Prediction] = []

    def large_parts() -> Iterator[tuple[np.ndarray, ...]]:
        predictions = classifier.predict([row.path for row in rows])
        for path, prediction in track(predictions, "Predicting test photos", len(rows)):
            paths.append(path)
            small.append(replace(prediction, vector=_NOTHING, heatmap=_NOTHING))
            yield prediction.vector, prediction.heatmap

    files = [scratch / f"{name}.npy" for name in ("vectors", "heatmaps")]
    write_rows(files, large_parts(), len(rows))
    return Predicted(paths, small, *map(open_rows, files))


def label_predictions(
    rows: Sequence[Row],
    predicted: Predicted,
    brands: Sequence[str],
    suspected: Collection[str] = (),
    series: Collection[str] = (),
) -> list[PredictedPhoto]:
    """The rows of predictions.csv: what the manifest holds of a photo, and what was predicted.

    suspected: the paths of those that may be copies of training photos; series: of those from a
    series of training photos. `evaluate` makes sure that each prediction is of the photo of its
    row.
    """
    return [
        # Rounded first: whoever reads the row must come to the same brand.
        make_predicted(
            path=path,
            actual=row.brand,
            leaked=row.leaked,
            probabilities=[round(float(p), PROBABILITY_DECIMALS) for p in prediction.probabilities],
            brands=brands,
            suspected=path in suspected and not row.leaked,
            series=path in series and not row.leaked,
            pixels=row.pixel_sha256[:PIXEL_DIGITS],
            unknown=None if prediction.unknown_score is None else prediction.unknown,
            brand_set=prediction.brand_set,
        )
        for row, path, prediction in zip(rows, predicted.paths, predicted.predictions, strict=False)
    ]


def write_vectors_and_heatmaps(
    out: Path, rows: Sequence[Row], predicted: Predicted, resize: ResizePolicy
) -> None:
    """Write the vectors, and the heat maps laid out over the whole photos."""
    every = range(len(rows))
    vectors, heatmaps = iter_rows(predicted.vectors, every), iter_rows(predicted.heatmaps, every)
    parts = (
        (vector, align_with_photo(heatmap, row.width, row.height, resize))
        for row, vector, heatmap in zip(rows, vectors, heatmaps, strict=True)
    )
    write_rows((out / "vectors.npy", out / "heatmaps.npy"), parts, len(rows))


def evaluate(
    predictions: Path,
    rows: Sequence[Row],
    brands: Sequence[str],
    temperature: float,
    ece_bins: int,
) -> dict[str, Any]:
    """The metrics of the file `predictions`. Raises InvariantError if it is inconsistent.

    They are computed from the file, so that a reader of it gets the same. `brands` and
    `temperature` are those of the model.
    """
    photos, columns = read_predictions(predictions)
    check_rows(photos, rows)
    check_probabilities(photos, PROBABILITY_DECIMALS)
    check_brands(photos, columns, brands)
    check_sets(photos, columns)
    metrics = evaluate_photos(photos, columns, ece_bins, temperature)
    confusion = metrics.get("confusion")  # not where brands are too many for it
    check_accuracy(
        confusion or count_confusion([p for p in photos if not p.leaked], columns), metrics
    )
    return metrics


def check_test_photos(rows: Sequence[Row], brands: Sequence[str]) -> None:
    """Raise UserError unless there is a leak-free photo, and the model knows every brand."""
    if not rows:
        raise UserError(
            "No test photo is left: all were left out. artifacts/validate/manifest.csv says why. "
            "Put photos into the test folder, or loosen the section validate of params.yaml."
        )
    if all(row.leaked for row in rows):
        raise UserError(
            f"All {len(rows)} test photos are copies of training photos: nothing is left to "
            f"evaluate on. Put photos into the test folder that are in no training folder."
        )
    unknown = sorted({row.brand for row in rows} - set(brands))
    if unknown:
        raise UserError(
            f"The test photos have brands that the model does not know ({', '.join(unknown)}), "
            f"only {', '.join(brands)}. Run `dvc repro` to train on what lies in Datasets."
        )


def choose_test_photos(
    manifest: Sequence[Row],
    found: Sequence[Copy],
    rules: CopySeverities,
    unlearned: Collection[str],
    brands: Sequence[str],
) -> tuple[list[Row], list[Copy]]:
    """The test photos to predict, with leaks marked, and what the copies found by vectors mean."""
    listed = evaluated_test_photos(manifest)
    check_test_photos(listed, brands)
    copies = classify_copies(manifest, found, unlearned)
    rows = mark_leaks(listed, copies, rules)
    check_test_photos(rows, brands)
    return rows, copies


def apply_series(
    rows: Sequence[Row], series: Mapping[str, str], severity: str
) -> tuple[list[Row], set[str]]:
    """The rows that are kept, and the paths of those from a series of training photos.

    series: path of a test photo → path of a training photo. Raises UserError for severity `error`,
    or if nothing is left.
    """
    found = [row for row in rows if row.path in series and not row.leaked]
    if severity == "error" and found:
        raise UserError(
            *(
                f"{one_line(row.path)} is from one series with {one_line(series[row.path])}. "
                f"Remove it, or set validate.series: exclude"
                for row in found
            )
        )
    paths = set() if severity == "ignore" else {row.path for row in found}
    if severity != "exclude":
        return list(rows), paths
    kept = [row for row in rows if row.path not in paths]
    if not any(not row.leaked for row in kept):
        raise UserError(
            "Every leak-free test photo is from one series with training photos: nothing is left "
            "to evaluate on. Put other photos into the test folder, or set validate.series: warn."
        )
    return kept, set()


def main(params_file: Path, model: Path, validate: Path, features: Path, out: Path) -> None:
    """Predict the test photos, write the predictions and their metrics."""
    params = read_section(params_file, "evaluate", EvaluateParams)
    manifest = read_manifest(validate / "manifest.csv")
    classifier = Classifier(model, heatmaps=True)
    rules = read_keys(params_file, "validate", TestSeverities)
    unlearned = read_unlearned(features, rules)
    found = read_copies(features / "test_copies.csv")
    rows, copies = choose_test_photos(manifest, found, rules, unlearned, classifier.brands)
    rows, series = apply_series(rows, read_test_series(features, unlearned), rules.series)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        predicted = predict(classifier, rows, Path(scratch))
        learned = read_features(features).without(unlearned)
        places = map_photos(learned, rows, read_test_vectors(features, [r.path for r in rows]))
        write_vectors_and_heatmaps(out, rows, predicted, classifier.resize)
        related = (suspected_leaks(manifest), series)
        photos = label_predictions(rows, predicted, classifier.brands, *related)
        del learned, predicted  # Windows deletes no file that is mapped into memory
    table = out / "predictions.csv"
    write_predictions(table, photos, classifier.brands)
    metrics = evaluate(table, rows, classifier.brands, classifier.temperature, params.ece_bins)
    if classifier.held_out:
        metrics |= score_gap(classifier.held_out, [photo for photo in photos if not photo.leaked])
    if classifier.set_rule:
        metrics["conformal"]["level"] = classifier.set_rule.level
    write_metrics(out / "metrics.json", metrics)
    write_brands(out / "brands.csv", metrics["brand"])
    confirmed = {row.path for row in rows if row.correction}
    suspects = find_test_suspects(photos, classifier.brands, confirmed)
    write_suspects(out / "suspects.csv", suspects)
    write_copies(out / "copies.csv", without_ignored(copies, rules))
    write_map(out / "map.csv", places)
    write_origin(out / "origin.json", params, (*PACKAGES, *other_decoders(rows)))


if __name__ == "__main__":
    start(main, TestSeverities)
