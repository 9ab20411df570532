"""What is said of a photo: brands with their probabilities, the likeliest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from carbrand.scores.predictions_file import PROBABILITY_DECIMALS


def rank(
    probabilities: Iterable[float], brands: Sequence[str], top: int | None = None
) -> dict[str, Any]:
    """`brand`, its `confidence`, and the `probabilities` of the `top` likeliest, or of all.

    Of brands equally likely the first comes first, as in predictions.csv.
    """
    shares = [round(float(share), PROBABILITY_DECIMALS) for share in probabilities]
    order = sorted(range(len(shares)), key=lambda label: -shares[label])
    likely = {brands[label]: shares[label] for label in order[:top]}
    brand = brands[order[0]]
    return {"brand": brand, "confidence": likely[brand], "probabilities": likely}
