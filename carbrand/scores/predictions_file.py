"""predictions.csv: a row per test photo, from which every metric can be computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from carbrand.node.table import finite, parse_bool, read_table, write_table
from carbrand.node.wording import one_line
from carbrand.scores.evaluation import PredictedPhoto

COLUMNS = ("path", "actual", "predicted", "confidence", "leaked")
# Rounded once, here: metrics are computed from what a person can read.
PROBABILITY_DECIMALS = 6


def write_predictions(path: Path, photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> None:
    """Write `photos` in their order, with one `p_<brand>` column per brand."""
    columns = [*COLUMNS, "suspected", *(f"p_{brand}" for brand in brands)]
    write_table(path, columns, [_cells(photo) for photo in photos])


def _cells(photo: PredictedPhoto) -> list[str]:
    numbers = [f"{p:.{PROBABILITY_DECIMALS}f}" for p in (photo.confidence, *photo.probabilities)]
    marks = [str(mark).lower() for mark in (photo.leaked, photo.suspected)]
    return [photo.path, photo.actual, photo.predicted, numbers[0], *marks, *numbers[1:]]


def read_predictions(path: Path) -> tuple[list[PredictedPhoto], list[str]]:
    """The rows of the file and the brands, in their order.

    Raises ValueError, with what is wrong, where it is none that `write_predictions` wrote.
    """
    columns, records = read_table(path)
    brands = [name.removeprefix("p_") for name in columns if name.startswith("p_")]
    lacking = [column for column in COLUMNS if column not in columns] or (["p_…"] * (not brands))
    if lacking:
        raise ValueError(f"no column {lacking[0]}")
    if len(set(columns)) < len(columns):
        raise ValueError("a column is there twice")
    if not records:
        raise ValueError("it holds no photo")
    photos: dict[str, PredictedPhoto] = {}
    for record in records:
        if None in record or None in record.values():
            raise ValueError(f"the row of {one_line(str(record['path']))} is not as long as others")
        photo = _parse(record, brands)
        if photo.path in photos:
            raise ValueError(f"{one_line(photo.path)} is there twice")
        photos[photo.path] = photo
    return list(photos.values()), brands


def _parse(record: Mapping[str, str], brands: Sequence[str]) -> PredictedPhoto:
    for column in ("actual", "predicted"):
        if record[column] not in brands:
            raise ValueError(f"{one_line(record[column])} has no column of probabilities")
    return PredictedPhoto(
        path=record["path"],
        actual=record["actual"],
        predicted=record["predicted"],
        confidence=finite(record["confidence"]),
        leaked=parse_bool(record["leaked"]),
        probabilities=tuple(finite(record[f"p_{brand}"]) for brand in brands),
        suspected=parse_bool(record.get("suspected", "false")),  # not in the first files
    )
