"""predictions.csv: a row per test photo, from which every metric can be computed again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carbrand.node.table import read_table, write_table
from carbrand.scores.evaluation import PredictedPhoto

# Rounded once, here: metrics are computed from what a person can read.
PROBABILITY_DECIMALS = 6


def write_predictions(path: Path, photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> None:
    """Write `photos` in their order, with one `p_<brand>` column per brand."""
    about = ["path", "actual", "predicted", "confidence", "leaked", "suspected"]
    columns = [*about, *(f"p_{b}" for b in brands)]
    write_table(path, columns, [_cells(photo) for photo in photos])


def _cells(photo: PredictedPhoto) -> list[str]:
    numbers = [f"{p:.{PROBABILITY_DECIMALS}f}" for p in (photo.confidence, *photo.probabilities)]
    marks = [str(mark).lower() for mark in (photo.leaked, photo.suspected)]
    return [photo.path, photo.actual, photo.predicted, numbers[0], *marks, *numbers[1:]]


def read_predictions(path: Path) -> tuple[list[PredictedPhoto], list[str]]:
    """The rows of the file and the brands, in their order."""
    columns, records = read_table(path)
    brands = [name.removeprefix("p_") for name in columns if name.startswith("p_")]
    return [_parse(record, brands) for record in records], brands


def _parse(record: dict[str, str], brands: Sequence[str]) -> PredictedPhoto:
    return PredictedPhoto(
        path=record["path"],
        actual=record["actual"],
        predicted=record["predicted"],
        confidence=float(record["confidence"]),
        leaked=record["leaked"] == "true",
        probabilities=tuple(float(record[f"p_{brand}"]) for brand in brands),
        suspected=record.get("suspected") == "true",  # the first files had no such column
    )
