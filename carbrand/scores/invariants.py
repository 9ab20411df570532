"""Invariants of every evaluation, checked in every run on the files that were written.

They detect wrong numbers that look plausible: rows of other photos, columns of other brands. No
photo of a user can violate them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import DECIMALS
from carbrand.photos.manifest import Row
from carbrand.scores.evaluation import PredictedPhoto, evaluate_photos
from carbrand.scores.files.predictions_file import PROBABILITY_DECIMALS

# The tolerance of the sum of float32 probabilities.
_TOLERANCE = 1e-5
# Metrics are recomputed from the same rows, so they differ by their rounding only.
_ROUNDING = 0.5 * 10**-DECIMALS + 1e-9


class InvariantError(UserError):
    """Artifacts contradict one another; `violation` is the invariant and what was found instead."""

    def __init__(self, invariant: str, found: str) -> None:
        self.violation = f"{invariant}, but {found}"
        super().__init__(
            f"evaluate: {self.violation}. Files of two runs may have been mixed: run "
            f"`dvc repro --force`. If that does not help, this is a bug: please report it."
        )


def check_rows(photos: Sequence[PredictedPhoto], rows: Sequence[Row]) -> None:
    """Raise InvariantError unless the predictions are those of the manifest's rows, in order."""
    invariant = "the predicted photos are the test photos of the manifest, in their order"
    if len(photos) != len(rows):
        raise InvariantError(invariant, f"{len(photos)} of {len(rows)} are predicted")
    for number, (photo, row) in enumerate(zip(photos, rows, strict=True), start=1):
        if (photo.path, photo.actual) != (row.path, row.brand):
            found = f"row {number} is {photo.path} ({photo.actual}) instead of {row.path}"
            raise InvariantError(invariant, f"{found} ({row.brand})")


def check_probabilities(photos: Sequence[PredictedPhoto], decimals: int) -> None:
    """Raise InvariantError unless the probabilities of each photo lie in 0…1 and add up to 1.

    decimals: to which they were rounded.
    """
    for photo in photos:
        tolerance = _TOLERANCE + 0.5 * 10**-decimals * len(photo.probabilities)
        total = math.fsum(photo.probabilities)
        # `not` also catches NaN.
        if not (all(0 <= p <= 1 for p in photo.probabilities) and abs(total - 1) <= tolerance):
            lowest, highest = min(photo.probabilities), max(photo.probabilities)
            raise InvariantError(
                "probabilities lie in 0…1 and add up to 1",
                f"those of {photo.path} lie in {lowest:g}…{highest:g} and add up to {total:g}",
            )


def check_brands(
    photos: Sequence[PredictedPhoto], columns: Sequence[str], brands: Sequence[str]
) -> None:
    """Raise InvariantError unless the file's `columns` are the model's `brands`, in order.

    Also unless `predicted` and `confidence` are those of the most probable column.
    """
    if list(columns) != list(brands):
        raise InvariantError(
            "the brands of predictions.csv are in the model's order",
            f"they are {', '.join(columns)} instead of {', '.join(brands)}",
        )
    for photo in photos:
        highest = max(photo.probabilities)
        best = columns[photo.probabilities.index(highest)]
        if (photo.predicted, photo.confidence) != (best, highest):
            raise InvariantError(
                "the predicted brand is the most probable one",
                f"{photo.path} is predicted as {photo.predicted} with {best} at {highest:g}",
            )


def check_sets(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> None:
    """Raise InvariantError unless each set holds the most probable brands, or no photo has one."""
    if not any(photo.brand_set for photo in photos):
        return
    invariant = "a set holds the predicted brand, and none that is less probable than one left out"
    for photo in photos:
        inside = dict.fromkeys(photo.brand_set)
        chances = dict(zip(brands, photo.probabilities, strict=True))
        least = min((chances[brand] for brand in inside), default=1.0)
        rest = max((p for brand, p in chances.items() if brand not in inside), default=0.0)
        if photo.predicted not in inside or rest > least or len(inside) < len(photo.brand_set):
            found = f"that of {photo.path} is {', '.join(photo.brand_set) or 'empty'}"
            raise InvariantError(invariant, f"{found}, and {photo.predicted} is predicted")


def check_accuracy(confusion: Mapping[str, Mapping[str, int]], metrics: Mapping[str, Any]) -> None:
    """Raise InvariantError unless the confusion matrix's diagonal gives the accuracy."""
    invariant = "accuracy is the share of the confusion matrix on the diagonal"
    total = sum(sum(row.values()) for row in confusion.values())
    diagonal = sum(row.get(brand, 0) for brand, row in confusion.items())
    if total != metrics["images"]:
        raise InvariantError(invariant, f"it counts {total} photos, not {metrics['images']}")
    if not math.isclose(diagonal / total, metrics["accuracy"], abs_tol=1e-12):
        found = f"that is {diagonal} / {total} and accuracy is {metrics['accuracy']:g}"
        raise InvariantError(invariant, found)


def check_predictions(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> None:
    """Raise InvariantError unless the rows of a predictions.csv are consistent.

    brands: its columns.
    """
    check_probabilities(photos, PROBABILITY_DECIMALS)
    check_brands(photos, brands, brands)
    check_sets(photos, brands)


def check_metrics(
    photos: Sequence[PredictedPhoto],
    brands: Sequence[str],
    metrics: Mapping[str, Any],
    ece_bins: int | None,
) -> None:
    """Raise InvariantError unless the metrics follow from the rows.

    Not checked: missing metrics, metrics that this version does not compute, `uncalibrated`, which
    needs more than the rows, and `ece` if `ece_bins` is None (unknown).
    """
    if all(photo.leaked for photo in photos):
        return
    expected = evaluate_photos(photos, brands, ece_bins or 10)
    del expected["uncalibrated"]
    if ece_bins is None:
        del expected["ece"]
    for name, found, computed in _differences(metrics, expected):
        raise InvariantError(
            "metrics follow from the rows of predictions.csv",
            f"{name} is {found!r} and the rows give {round(computed, DECIMALS):g}",
        )


def _differences(
    found: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, float]]:
    """The name, such as `macro.f1`, and both values of each number that is not as expected."""
    for name in [name for name in expected if name in found]:
        value, computed = found[name], expected[name]
        if isinstance(computed, Mapping):
            if isinstance(value, Mapping):
                yield from _differences(value, computed, f"{prefix}{name}.")
        elif not isinstance(value, (int, float)) or not abs(value - computed) <= _ROUNDING:
            yield f"{prefix}{name}", value, computed
