"""Predict every test photo with the model that ships, and count honestly.

Reads the model, the manifest and the test photos: the numbers come from the very file and the very
decode function that `carbrand predict` uses.
Writes `predictions.csv`, `metrics.json`, `brands.csv` (its scores per brand, for `dvc plots`), and
for the report `heatmaps.npy` and `vectors.npy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.classifier import Classifier, Prediction
from carbrand.errors import UserError
from carbrand.evaluation import PredictedPhoto, evaluate_photos
from carbrand.heatmap import spread_over_photo
from carbrand.manifest import Row, photos_to_predict, read_manifest
from carbrand.metrics_file import DECIMALS, write_metrics
from carbrand.params import knob, read_section
from carbrand.predictions_file import PROBABILITY_DECIMALS, write_predictions
from carbrand.progress import track
from carbrand.stage import start
from carbrand.table import write_table


@dataclass(frozen=True)
class EvaluateParams:
    """How the numbers are counted; see params.yaml."""

    ece_bins: int = knob(low=2, high=100)


def tabulate(
    rows: Sequence[Row], predictions: Sequence[Prediction], brands: Sequence[str]
) -> list[PredictedPhoto]:
    """Photos and predictions side by side. `predicted` is the argmax of the probabilities."""
    photos = []
    for row, prediction in zip(rows, predictions, strict=True):
        probabilities = tuple(
            round(float(p), PROBABILITY_DECIMALS) for p in prediction.probabilities
        )
        # Of the rounded ones: whoever reads the row must come to the same brand.
        label = int(np.argmax(probabilities))
        photos.append(
            PredictedPhoto(
                path=row.path,
                actual=row.brand,
                predicted=brands[label],
                confidence=probabilities[label],
                leaked=row.leaked,
                probabilities=probabilities,
            )
        )
    return photos


def check_test_photos(rows: Sequence[Row], brands: Sequence[str]) -> None:
    """Raise UserError unless there is a leak-free photo, and the model knows every brand."""
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


def write_brands(path: Path, scores: Mapping[str, Mapping[str, float]]) -> None:
    """The scores per brand as a table, rounded like every metric: DVC plots tables."""
    rows = [
        [brand, *(round(value, DECIMALS) for value in values.values())]
        for brand, values in scores.items()
    ]
    write_table(path, ["brand", "precision", "recall", "f1", "support"], rows)


def main(params_file: Path, model: Path, manifest: Path, out: Path) -> None:
    """Predict the test photos, write the predictions and what they add up to."""
    params = read_section(params_file, "evaluate", EvaluateParams)
    rows = photos_to_predict(read_manifest(manifest))
    classifier = Classifier(model)
    check_test_photos(rows, classifier.brands)
    predicted = classifier.predict([row.path for row in rows])
    predictions = [p for _, p in track(predicted, "Predicting test photos", len(rows))]
    photos = tabulate(rows, predictions, classifier.brands)
    metrics = evaluate_photos(photos, classifier.brands, params.ece_bins)
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(out / "predictions.csv", photos, classifier.brands)
    write_metrics(out / "metrics.json", metrics)
    write_brands(out / "brands.csv", metrics["brand"])
    np.save(out / "vectors.npy", np.stack([p.vector for p in predictions]))
    heatmaps = [
        spread_over_photo(prediction.heatmap, row.width, row.height, classifier.resize)
        for row, prediction in zip(rows, predictions, strict=True)
    ]
    np.save(out / "heatmaps.npy", np.stack(heatmaps))


if __name__ == "__main__":
    start(main)
