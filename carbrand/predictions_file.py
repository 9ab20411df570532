"""predictions.csv: a row per test photo, from which every metric can be computed again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from carbrand.evaluation import PredictedPhoto

# Rounded once, here: metrics are computed from what a person can read.
PROBABILITY_DECIMALS = 6


def write_predictions(path: Path, photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> None:
    """Write `photos` in their order, with one `p_<brand>` column per brand."""
    columns = ["path", "actual", "predicted", "confidence", "leaked", *(f"p_{b}" for b in brands)]
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        for photo in photos:
            numbers = [f"{p:.{PROBABILITY_DECIMALS}f}" for p in photo.probabilities]
            confidence = f"{photo.confidence:.{PROBABILITY_DECIMALS}f}"
            leaked = str(photo.leaked).lower()
            table.writerow(
                [photo.path, photo.actual, photo.predicted, confidence, leaked, *numbers]
            )


def read_predictions(path: Path) -> tuple[list[PredictedPhoto], list[str]]:
    """The rows of the file and the brands, in their order."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.DictReader(file)
        columns = table.fieldnames or []
        brands = [name.removeprefix("p_") for name in columns if name.startswith("p_")]
        return [_parse(record, brands) for record in table], brands


def _parse(record: dict[str, str], brands: Sequence[str]) -> PredictedPhoto:
    return PredictedPhoto(
        path=record["path"],
        actual=record["actual"],
        predicted=record["predicted"],
        confidence=float(record["confidence"]),
        leaked=record["leaked"] == "true",
        probabilities=tuple(float(record[f"p_{brand}"]) for brand in brands),
    )
