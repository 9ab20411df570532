"""Metrics of predictions, each computed from the rows a person can read in predictions.csv."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

# A probability of exactly 0 for what is true would cost infinitely much.
SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class PredictedPhoto:
    """One row of predictions.csv; `probabilities` in the order of the brands."""

    path: str
    actual: str
    predicted: str
    confidence: float
    leaked: bool
    probabilities: tuple[float, ...]


def evaluate_photos(
    photos: Sequence[PredictedPhoto], brands: Sequence[str], ece_bins: int
) -> dict[str, Any]:
    """The metrics of the leak-free photos, of which there must be one, and `as_given` of all."""
    leak_free = [photo for photo in photos if not photo.leaked]
    right = count_right(leak_free)
    low, high = wilson_interval(right, len(leak_free))
    by_brand = {brand: score_brand(leak_free, brand) for brand in brands}
    return {
        "accuracy": right / len(leak_free),
        "accuracy_low": low,
        "accuracy_high": high,
        "images": len(leak_free),
        "log_loss": log_loss(leak_free, brands),
        "ece": expected_calibration_error(leak_free, ece_bins),
        "macro": {
            # Brands without a leak-free photo have nothing to be right about.
            name: float(np.mean([s[name] for s in by_brand.values() if s["support"]]))
            for name in ("precision", "recall", "f1")
        },
        "brand": by_brand,
        "as_given": {"accuracy": count_right(photos) / len(photos), "images": len(photos)},
    }


def count_right(photos: Sequence[PredictedPhoto]) -> int:
    """How many photos are predicted as what they are."""
    return sum(photo.predicted == photo.actual for photo in photos)


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """95 % interval of the share right / n (Wilson, JASA 1927): honest near 0 and 1, and for few.

    Of such intervals 19 in 20 hold the accuracy that endless test photos would show.
    """
    z = NormalDist().inv_cdf(0.975)
    share, z2 = right / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def score_brand(photos: Sequence[PredictedPhoto], brand: str) -> dict[str, float]:
    """Precision, recall and F1 of one brand; 0 where nothing was there to count. Support is n."""
    actual = sum(photo.actual == brand for photo in photos)
    predicted = sum(photo.predicted == brand for photo in photos)
    both = sum(photo.actual == photo.predicted == brand for photo in photos)
    return {
        "precision": both / predicted if predicted else 0.0,
        "recall": both / actual if actual else 0.0,
        "f1": 2 * both / (actual + predicted) if actual + predicted else 0.0,
        "support": actual,
    }


def log_loss(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> float:
    """Mean of −log(probability of what the photo is), natural logarithm."""
    index = {brand: number for number, brand in enumerate(brands)}
    of_actual = [photo.probabilities[index[photo.actual]] for photo in photos]
    return float(-np.log(np.maximum(of_actual, SMALLEST_PROBABILITY)).mean())


def expected_calibration_error(photos: Sequence[PredictedPhoto], bins: int) -> float:
    """How far confidence and accuracy are apart, in bins of equal width.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    confidence = np.array([photo.confidence for photo in photos])
    right = np.array([photo.predicted == photo.actual for photo in photos], float)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[place == b].mean() - right[place == b].mean()) * np.mean(place == b)
        for b in np.unique(place)
    ]
    return float(sum(gaps))
