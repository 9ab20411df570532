"""Metrics of predictions, each computed from the rows a person can read in predictions.csv."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

# A probability of exactly 0 for what is true would cost infinitely much.
SMALLEST_PROBABILITY = 1e-7
TOP = 5
# Confusion counts of more brands would be most of metrics.json, and predictions.csv has them all.
# Leaving zeros out instead would make keys come and go, of which `dvc metrics diff` has no delta.
MOST_BRANDS_OF_CONFUSION = 20


@dataclass(frozen=True)
class PredictedPhoto:
    """One row of predictions.csv; `probabilities` in the order of the brands.

    suspected: it may be a copy of a training photo, but is not `leaked` for all that is known.
    """

    path: str
    actual: str
    predicted: str
    confidence: float
    leaked: bool
    probabilities: tuple[float, ...]
    suspected: bool = False


@dataclass(frozen=True)
class ReliabilityBin:
    """The photos whose confidence lies in [low, high), the last bin with its end.

    confidence: their mean. accuracy: the share of them named right, with its Wilson interval.
    """

    low: float
    high: float
    photos: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def make_predicted(
    path: str,
    actual: str,
    leaked: bool,
    probabilities: Sequence[float],
    brands: Sequence[str],
    suspected: bool = False,
) -> PredictedPhoto:
    """A row whose `predicted` is the likeliest brand, the first of those equally likely."""
    shares = tuple(float(share) for share in probabilities)
    label = int(np.argmax(shares))
    return PredictedPhoto(path, actual, brands[label], shares[label], leaked, shares, suspected)


def evaluate_photos(
    photos: Sequence[PredictedPhoto],
    brands: Sequence[str],
    ece_bins: int,
    temperature: float = 1.0,
) -> dict[str, Any]:
    """The metrics of the leak-free photos, of which there must be one, `as_given` of all, and
    `without_suspected` of the leak-free ones that are no suspected copies.

    temperature: that of the model that predicted them, for `uncalibrated`. `top_5` is there where
    brands are more than 5, `confusion` where they are at most MOST_BRANDS_OF_CONFUSION; all other
    keys are always the same for the same brands.
    """
    leak_free = [photo for photo in photos if not photo.leaked]
    by_brand = {brand: score_brand(leak_free, brand) for brand in brands}
    metrics: dict[str, Any] = {
        **score_accuracy(leak_free),
        **score_balanced(leak_free),
        "leaked": len(photos) - len(leak_free),
        **score_probabilities(leak_free, brands, ece_bins),
        "uncalibrated": score_probabilities(
            uncalibrate(leak_free, brands, temperature), brands, ece_bins
        ),
    }
    if len(brands) > TOP:
        metrics[f"top_{TOP}"] = share_in_top(leak_free, brands, TOP)
    metrics["macro"] = {
        # Brands without a leak-free photo have nothing to be right about.
        name: float(np.mean([s[name] for s in by_brand.values() if s["support"]]))
        for name in ("precision", "recall", "f1")
    }
    metrics["brand"] = by_brand
    if len(brands) <= MOST_BRANDS_OF_CONFUSION:
        metrics["confusion"] = count_confusion(leak_free, brands)
    metrics["as_given"] = score_accuracy(photos)
    metrics["without_suspected"] = score_without_suspected(leak_free)
    return metrics


def score_without_suspected(leak_free: Sequence[PredictedPhoto]) -> dict[str, float]:
    """The accuracy of those that are not even suspected; only `images`, 0, where none is left."""
    sure = [photo for photo in leak_free if not photo.suspected]
    return score_accuracy(sure) if sure else {"images": 0}


def score_accuracy(photos: Sequence[PredictedPhoto]) -> dict[str, float]:
    """Accuracy, its Wilson interval, and how many photos (`images`) it is of."""
    right = count_right(photos)
    low, high = wilson_interval(right, len(photos))
    return {
        "accuracy": right / len(photos),
        "accuracy_low": low,
        "accuracy_high": high,
        "images": len(photos),
    }


def score_probabilities(
    photos: Sequence[PredictedPhoto], brands: Sequence[str], ece_bins: int
) -> dict[str, float]:
    """How good the probabilities are, not only the brand that is named."""
    return {
        "log_loss": log_loss(photos, brands),
        "brier": brier_score(photos, brands),
        "ece": expected_calibration_error(photos, ece_bins),
    }


def count_right(photos: Sequence[PredictedPhoto]) -> int:
    """How many photos are predicted as what they are."""
    return sum(photo.predicted == photo.actual for photo in photos)


def count_confusion(
    photos: Sequence[PredictedPhoto], brands: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many photos of each actual brand (outer key) are predicted as which (inner key)."""
    counts = {actual: dict.fromkeys(brands, 0) for actual in brands}
    for photo in photos:
        counts[photo.actual][photo.predicted] += 1
    return counts


def score_balanced(photos: Sequence[PredictedPhoto]) -> dict[str, float]:
    """Balanced accuracy: the mean recall of the brands that have a photo, each counting the same.

    Its 95 % interval is put together from the Wilson intervals of the recalls: their half widths,
    as independent errors, add up by their squares (MOVER: Zou and Donner, Statistics in Medicine
    27, 2008). With one brand it is the Wilson interval.
    """
    support = Counter(photo.actual for photo in photos)
    right = Counter(photo.actual for photo in photos if photo.predicted == photo.actual)
    recalls = {brand: right[brand] / n for brand, n in support.items()}
    intervals = {brand: wilson_interval(right[brand], n) for brand, n in support.items()}
    mean = math.fsum(recalls.values()) / len(recalls)
    below = math.hypot(*(recalls[brand] - low for brand, (low, _) in intervals.items()))
    above = math.hypot(*(high - recalls[brand] for brand, (_, high) in intervals.items()))
    return {
        "balanced_accuracy": mean,
        "balanced_accuracy_low": max(0.0, mean - below / len(recalls)),
        "balanced_accuracy_high": min(1.0, mean + above / len(recalls)),
    }


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


def share_in_top(photos: Sequence[PredictedPhoto], brands: Sequence[str], k: int) -> float:
    """The share of photos whose actual brand is among the `k` likeliest.

    Of brands equally likely the first ones count, as for `predicted`.
    """
    likeliest = np.argsort([[-p for p in photo.probabilities] for photo in photos], kind="stable")
    labels = _labels(photos, brands)
    return float((likeliest[:, :k] == labels[:, None]).any(axis=1).mean())


def log_loss(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> float:
    """Mean of −log(probability of what the photo is), natural logarithm."""
    shares, labels = _shares(photos), _labels(photos, brands)
    of_actual = shares[np.arange(len(photos)), labels]
    return float(-np.log(np.maximum(of_actual, SMALLEST_PROBABILITY)).mean())


def brier_score(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> float:
    """Mean squared distance of the probabilities from 1 for what the photo is and 0 for the rest.

    Summed over all brands, as Brier, Monthly Weather Review 78 (1950), has it: 0 is perfect, 2 is
    sure and wrong every time. (With two brands, twice what is often given.)
    """
    truth = np.eye(len(brands))[_labels(photos, brands)]
    return float(((_shares(photos) - truth) ** 2).sum(axis=1).mean())


def reliability(photos: Sequence[PredictedPhoto], bins: int) -> list[ReliabilityBin]:
    """The photos in bins of equal width by confidence, from low to high; none without a photo."""
    places: dict[int, list[PredictedPhoto]] = {}
    for photo in photos:
        # Rounded, because 0.57 * 100 is not quite 57.
        place = min(math.floor(round(photo.confidence * bins, 9)), bins - 1)
        places.setdefault(place, []).append(photo)
    return [_bin(place, bins, places[place]) for place in sorted(places)]


def _bin(place: int, bins: int, photos: Sequence[PredictedPhoto]) -> ReliabilityBin:
    scores = score_accuracy(photos)
    return ReliabilityBin(
        low=place / bins,
        high=(place + 1) / bins,
        photos=len(photos),
        confidence=math.fsum(photo.confidence for photo in photos) / len(photos),
        accuracy=scores["accuracy"],
        accuracy_low=scores["accuracy_low"],
        accuracy_high=scores["accuracy_high"],
    )


def expected_calibration_error(photos: Sequence[PredictedPhoto], bins: int) -> float:
    """How far confidence and accuracy are apart: the mean gap of the bins, weighed by photos.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    gaps = [abs(b.confidence - b.accuracy) * b.photos for b in reliability(photos, bins)]
    return math.fsum(gaps) / len(photos)


def uncalibrate(
    photos: Sequence[PredictedPhoto], brands: Sequence[str], temperature: float
) -> list[PredictedPhoto]:
    """The photos with the probabilities that a model without temperature scaling would give them.

    Anybody can do the same with predictions.csv and the temperature in train's summary.json: each
    probability, one of 0 counting as SMALLEST_PROBABILITY, to the power of the temperature, divided
    by their sum. With one view per photo that is what the head said before, but for the rounding of
    the file. Of probabilities averaged over several views it is the same function, no more.
    """
    if temperature == 1.0:
        return list(photos)
    # By way of logarithms: small numbers to high powers would all be 0.
    powers = temperature * np.log(np.maximum(_shares(photos), SMALLEST_PROBABILITY))
    shares = np.exp(powers - powers.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    labels = {brand: label for label, brand in enumerate(brands)}
    return [
        replace(
            photo,
            probabilities=tuple(float(share) for share in row),
            confidence=float(row[labels[photo.predicted]]),
        )
        for photo, row in zip(photos, shares, strict=True)
    ]


def _shares(photos: Sequence[PredictedPhoto]) -> np.ndarray:
    """The probabilities, (photos, brands) float64."""
    return np.array([photo.probabilities for photo in photos], np.float64)


def _labels(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> np.ndarray:
    """The place of each actual brand among the brands, (photos,) int."""
    labels = {brand: label for label, brand in enumerate(brands)}
    return np.array([labels[photo.actual] for photo in photos])
