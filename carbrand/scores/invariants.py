"""What must be true of every evaluation, checked in every run, on what was written.

A number that breaks one of these would be wrong without looking wrong: rows that belong to other
photos, columns under other brands. None can be broken by a user's photos.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.metrics_file import DECIMALS
from carbrand.photos.manifest import Row
from carbrand.scores.evaluation import PredictedPhoto, evaluate_photos
from carbrand.scores.predictions_file import PROBABILITY_DECIMALS

# float32 probabilities add up to 1 within this, whatever their rounding.
_SLACK = 1e-5
# Metrics are computed again from the same rows, so they differ by their rounding and no more.
_ROUNDING = 0.5 * 10**-DECIMALS + 1e-9


class BrokenPromise(UserError):
    """The artifacts contradict one another; the message says which promise does not hold."""

    def __init__(self, promise: str, found: str) -> None:
        self.contradiction = f"{promise}, but {found}"
        super().__init__(
            f"evaluate: {self.contradiction}. Either files of two runs were mixed, then "
            f"`dvc repro --force` mends it, or this is a mistake in the program: please report it."
        )


def check_rows(photos: Sequence[PredictedPhoto], rows: Sequence[Row]) -> None:
    """Raise BrokenPromise unless each row of the manifest has its prediction, in its order."""
    promise = "the photos predicted are the test photos of the manifest, in their order"
    if len(photos) != len(rows):
        raise BrokenPromise(promise, f"{len(photos)} of {len(rows)} are predicted")
    for number, (photo, row) in enumerate(zip(photos, rows, strict=True), start=1):
        if (photo.path, photo.actual) != (row.path, row.brand):
            found = f"row {number} is {photo.path} ({photo.actual}) instead of {row.path}"
            raise BrokenPromise(promise, f"{found} ({row.brand})")


def check_probabilities(photos: Sequence[PredictedPhoto], decimals: int) -> None:
    """Raise BrokenPromise unless the probabilities of each photo lie in 0…1 and add up to 1.

    decimals: to which each of them was rounded.
    """
    for photo in photos:
        slack = _SLACK + 0.5 * 10**-decimals * len(photo.probabilities)
        total = math.fsum(photo.probabilities)
        # `not` also catches what is not a number.
        if not (all(0 <= p <= 1 for p in photo.probabilities) and abs(total - 1) <= slack):
            lowest, highest = min(photo.probabilities), max(photo.probabilities)
            raise BrokenPromise(
                "probabilities lie in 0…1 and add up to 1",
                f"those of {photo.path} lie in {lowest:g}…{highest:g} and add up to {total:g}",
            )


def check_brands(
    photos: Sequence[PredictedPhoto], columns: Sequence[str], brands: Sequence[str]
) -> None:
    """Raise BrokenPromise unless `columns`, those of the file, are the model's `brands` in order.

    And unless `predicted` and `confidence` are those of the likeliest column.
    """
    if list(columns) != list(brands):
        raise BrokenPromise(
            "the brands of predictions.csv are in the model's order",
            f"they are {', '.join(columns)} instead of {', '.join(brands)}",
        )
    for photo in photos:
        highest = max(photo.probabilities)
        likeliest = columns[photo.probabilities.index(highest)]
        if (photo.predicted, photo.confidence) != (likeliest, highest):
            raise BrokenPromise(
                "the brand predicted is the likeliest one",
                f"{photo.path} is predicted as {photo.predicted} with {likeliest} at {highest:g}",
            )


def check_accuracy(confusion: Mapping[str, Mapping[str, int]], metrics: Mapping[str, Any]) -> None:
    """Raise BrokenPromise unless the diagonal of the confusion counts gives the accuracy."""
    promise = "accuracy is the share of the confusion counts on the diagonal"
    total = sum(sum(row.values()) for row in confusion.values())
    diagonal = sum(row.get(brand, 0) for brand, row in confusion.items())
    if total != metrics["images"]:
        raise BrokenPromise(promise, f"they count {total} photos, not {metrics['images']}")
    if not math.isclose(diagonal / total, metrics["accuracy"], abs_tol=1e-12):
        found = f"that is {diagonal} / {total} and accuracy is {metrics['accuracy']:g}"
        raise BrokenPromise(promise, found)


def check_predictions(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> None:
    """Raise BrokenPromise unless the rows of a predictions.csv, read back, fit one another.

    brands: its columns.
    """
    check_probabilities(photos, PROBABILITY_DECIMALS)
    check_brands(photos, brands, brands)


def check_metrics(
    photos: Sequence[PredictedPhoto],
    brands: Sequence[str],
    metrics: Mapping[str, Any],
    ece_bins: int | None,
) -> None:
    """Raise BrokenPromise unless the metrics that are there follow from the rows.

    `uncalibrated` needs more than rows and is not looked at, nor are metrics that this version does
    not compute. ece_bins: None where nobody knows them; then `ece` is not looked at either.
    """
    if all(photo.leaked for photo in photos):
        return
    expected = evaluate_photos(photos, brands, ece_bins or 10)
    del expected["uncalibrated"]
    if ece_bins is None:
        del expected["ece"]
    for name, found, right in _differences(metrics, expected):
        raise BrokenPromise(
            "metrics follow from the rows of predictions.csv",
            f"{name} is {found!r} and the rows give {round(right, DECIMALS):g}",
        )


def _differences(
    found: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, float]]:
    """The names, such as `macro.f1`, of numbers that are not as expected, and both values."""
    for name in [name for name in expected if name in found]:
        value, right = found[name], expected[name]
        if isinstance(right, Mapping):
            if isinstance(value, Mapping):
                yield from _differences(value, right, f"{prefix}{name}.")
        elif not isinstance(value, (int, float)) or not abs(value - right) <= _ROUNDING:
            yield f"{prefix}{name}", value, right
