"""Metrics, all computed from the rows of predictions.csv."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

# The log loss of a probability of 0 would be infinite.
MIN_PROBABILITY = 1e-7
TOP = 5
# The confusion matrix of more brands would dominate metrics.json; predictions.csv has it anyway.
# Leaving out zeros instead would change the keys, and `dvc metrics diff` needs the same keys.
MAX_CONFUSION_BRANDS = 20


@dataclass(frozen=True)
class PredictedPhoto:
    """One row of predictions.csv; `probabilities` in the order of the brands.

    suspected: possibly a copy of a training photo, but not known to be `leaked`. series: from one
    series with training photos, but no copy of one. pixels: a hash of the upright photo, whatever
    it is called; empty in files of early versions. unknown: unlike every training photo; None where
    the model cannot say. brand_set: one of these, with the promised chance, the most probable
    first; empty where the model makes none.
    """

    path: str
    actual: str
    predicted: str
    confidence: float
    leaked: bool
    probabilities: tuple[float, ...]
    suspected: bool = False
    series: bool = False
    pixels: str = ""
    unknown: bool | None = None
    brand_set: tuple[str, ...] = ()

    @property
    def correct(self) -> bool:
        """Whether the predicted brand is the actual one."""
        return self.predicted == self.actual


@dataclass(frozen=True)
class ReliabilityBin:
    """The photos whose confidence lies in [low, high), in the last bin in [low, high].

    confidence: the mean. accuracy: with its Wilson interval.
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
    series: bool = False,
    pixels: str = "",
    unknown: bool | None = None,
    brand_set: tuple[str, ...] = (),
) -> PredictedPhoto:
    """A row whose `predicted` is the most probable brand, the first one in a tie."""
    row = tuple(float(probability) for probability in probabilities)
    label = int(np.argmax(row))
    found = (brands[label], row[label], leaked, row, suspected, series, pixels, unknown, brand_set)
    return PredictedPhoto(path, actual, *found)


def evaluate_photos(
    photos: Sequence[PredictedPhoto],
    brands: Sequence[str],
    ece_bins: int,
    temperature: float = 1.0,
) -> dict[str, Any]:
    """The metrics of the leak-free photos (at least one), and further ones of other selections.

    `as_given` is of all photos, `without_suspected` of leak-free photos that are not suspected
    copies, `without_series` of those from no series of training photos. temperature: of the model,
    for `uncalibrated`. `top_5` needs more than 5 brands, `confusion` at most MAX_CONFUSION_BRANDS;
    all other keys are the same for the same brands.
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
        metrics[f"top_{TOP}"] = top_k_accuracy(leak_free, brands, TOP)
    metrics["macro"] = {
        # Brands without a leak-free photo have no recall.
        name: float(np.mean([s[name] for s in by_brand.values() if s["support"]]))
        for name in ("precision", "recall", "f1")
    }
    metrics["brand"] = by_brand
    if len(brands) <= MAX_CONFUSION_BRANDS:
        metrics["confusion"] = count_confusion(leak_free, brands)
    metrics["as_given"] = score_accuracy(photos)
    metrics["without_suspected"] = score_any([photo for photo in leak_free if not photo.suspected])
    metrics["without_series"] = score_any([photo for photo in leak_free if not photo.series])
    return metrics | score_sets(leak_free) | score_unknown(leak_free)


def score_sets(photos: Sequence[PredictedPhoto]) -> dict[str, dict[str, float]]:
    """`conformal`: coverage and mean size of the sets, with intervals; nothing without sets."""
    if not all(photo.brand_set for photo in photos):
        return {}
    sizes = [len(photo.brand_set) for photo in photos]
    half = 1.96 * float(np.std(sizes)) / math.sqrt(len(sizes))
    mean = float(np.mean(sizes))
    return {
        "conformal": {
            **_share("coverage", sum(p.actual in p.brand_set for p in photos), len(photos)),
            "mean_size": mean,
            "mean_size_low": max(1.0, mean - half),
            "mean_size_high": mean + half,
        }
    }


def score_unknown(photos: Sequence[PredictedPhoto]) -> dict[str, dict[str, float]]:
    """`unknown`: the share of photos called so; nothing where the model cannot say."""
    if any(photo.unknown is None for photo in photos):
        return {}
    return {"unknown": _share("share", sum(bool(photo.unknown) for photo in photos), len(photos))}


def _share(name: str, count: int, photos: int) -> dict[str, float]:
    low, high = wilson_interval(count, photos)
    return {name: count / photos, f"{name}_low": low, f"{name}_high": high}


def score_any(photos: Sequence[PredictedPhoto]) -> dict[str, float]:
    """The accuracy; only `images`, 0, if there is no photo."""
    return score_accuracy(photos) if photos else {"images": 0}


def score_accuracy(photos: Sequence[PredictedPhoto]) -> dict[str, float]:
    """Accuracy, its Wilson interval, and the number of photos (`images`)."""
    return {**_share("accuracy", count_correct(photos), len(photos)), "images": len(photos)}


def score_probabilities(
    photos: Sequence[PredictedPhoto], brands: Sequence[str], ece_bins: int
) -> dict[str, float]:
    """Metrics of the probabilities, not only of the predicted brand."""
    return {
        "log_loss": log_loss(photos, brands),
        "brier": brier_score(photos, brands),
        "ece": expected_calibration_error(photos, ece_bins),
    }


def count_correct(photos: Sequence[PredictedPhoto]) -> int:
    """The number of photos whose predicted brand is the actual one."""
    return sum(photo.correct for photo in photos)


def count_confusion(
    photos: Sequence[PredictedPhoto], brands: Sequence[str]
) -> dict[str, dict[str, int]]:
    """The confusion matrix: photos by actual brand (outer key) and predicted brand (inner key)."""
    counts = {actual: dict.fromkeys(brands, 0) for actual in brands}
    for photo in photos:
        counts[photo.actual][photo.predicted] += 1
    return counts


def score_balanced(photos: Sequence[PredictedPhoto]) -> dict[str, float]:
    """Balanced accuracy: the mean recall of the brands that have photos.

    Its 95 % interval combines the Wilson intervals of the recalls as independent errors (MOVER: Zou
    and Donner, Statistics in Medicine 27, 2008). With one brand it is the Wilson interval.
    """
    support = Counter(photo.actual for photo in photos)
    correct = Counter(photo.actual for photo in photos if photo.correct)
    recalls = {brand: correct[brand] / n for brand, n in support.items()}
    intervals = {brand: wilson_interval(correct[brand], n) for brand, n in support.items()}
    mean = math.fsum(recalls.values()) / len(recalls)
    below = math.hypot(*(recalls[brand] - low for brand, (low, _) in intervals.items()))
    above = math.hypot(*(high - recalls[brand] for brand, (_, high) in intervals.items()))
    return {
        "balanced_accuracy": mean,
        "balanced_accuracy_low": max(0.0, mean - below / len(recalls)),
        "balanced_accuracy_high": min(1.0, mean + above / len(recalls)),
    }


def wilson_interval(correct: float, n: int) -> tuple[float, float]:
    """The 95 % confidence interval of the proportion correct / n (Wilson, JASA 22, 1927)."""
    z = NormalDist().inv_cdf(0.975)
    share, z2 = correct / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def score_brand(photos: Sequence[PredictedPhoto], brand: str) -> dict[str, float]:
    """Precision, recall, F1 (0 where undefined) and support of one brand."""
    actual = sum(photo.actual == brand for photo in photos)
    predicted = sum(photo.predicted == brand for photo in photos)
    both = sum(photo.actual == photo.predicted == brand for photo in photos)
    return {
        "precision": both / predicted if predicted else 0.0,
        "recall": both / actual if actual else 0.0,
        "f1": 2 * both / (actual + predicted) if actual + predicted else 0.0,
        "support": actual,
    }


def top_k_accuracy(photos: Sequence[PredictedPhoto], brands: Sequence[str], k: int) -> float:
    """Top-k accuracy; ties are resolved as for `predicted`."""
    ranked = np.argsort([[-p for p in photo.probabilities] for photo in photos], kind="stable")
    labels = _labels(photos, brands)
    return float((ranked[:, :k] == labels[:, None]).any(axis=1).mean())


def log_loss(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> float:
    """The mean of −log(probability of the actual brand), natural logarithm."""
    probabilities, labels = _probabilities(photos), _labels(photos, brands)
    of_actual = probabilities[np.arange(len(photos)), labels]
    return float(-np.log(np.maximum(of_actual, MIN_PROBABILITY)).mean())


def brier_score(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> float:
    """The mean squared error of the probabilities, summed over the brands; 0…2.

    As defined by Brier, Monthly Weather Review 78 (1950). For two brands it is twice the common
    binary Brier score.
    """
    truth = np.eye(len(brands))[_labels(photos, brands)]
    return float(((_probabilities(photos) - truth) ** 2).sum(axis=1).mean())


def bin_by_confidence(photos: Sequence[PredictedPhoto], bins: int) -> list[ReliabilityBin]:
    """The photos in bins of equal width by confidence, ascending; empty bins are left out."""
    places: dict[int, list[PredictedPhoto]] = {}
    for photo in photos:
        # Rounded, because 0.57 * 100 is not quite 57.
        place = min(math.floor(round(photo.confidence * bins, 9)), bins - 1)
        places.setdefault(place, []).append(photo)
    return [_bin(place, bins, places[place]) for place in sorted(places)]


def _bin(place: int, bins: int, photos: Sequence[PredictedPhoto]) -> ReliabilityBin:
    return ReliabilityBin(
        low=place / bins,
        high=(place + 1) / bins,
        photos=len(photos),
        confidence=math.fsum(photo.confidence for photo in photos) / len(photos),
        **_share("accuracy", count_correct(photos), len(photos)),
    )


def expected_calibration_error(photos: Sequence[PredictedPhoto], bins: int) -> float:
    """The mean gap between confidence and accuracy over the bins, weighted by photos.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    gaps = [abs(b.confidence - b.accuracy) * b.photos for b in bin_by_confidence(photos, bins)]
    return math.fsum(gaps) / len(photos)


def uncalibrate(
    photos: Sequence[PredictedPhoto], brands: Sequence[str], temperature: float
) -> list[PredictedPhoto]:
    """The photos with the probabilities before temperature scaling.

    Each probability, at least MIN_PROBABILITY, is raised to the power of the temperature and
    divided by the sum, so it can be recomputed from predictions.csv and train's summary.json. Exact
    up to the rounding of the file for one view per photo; an approximation for a mean over views.
    """
    if temperature == 1.0:
        return list(photos)
    # As logarithms, since high powers of small numbers underflow.
    powers = temperature * np.log(np.maximum(_probabilities(photos), MIN_PROBABILITY))
    probabilities = np.exp(powers - powers.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = {brand: label for label, brand in enumerate(brands)}
    return [
        replace(
            photo,
            probabilities=tuple(float(probability) for probability in row),
            confidence=float(row[labels[photo.predicted]]),
        )
        for photo, row in zip(photos, probabilities, strict=True)
    ]


def _probabilities(photos: Sequence[PredictedPhoto]) -> np.ndarray:
    """The probabilities, (photos, brands) float64."""
    return np.array([photo.probabilities for photo in photos], np.float64)


def _labels(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> np.ndarray:
    """The index of each actual brand in `brands`, (photos,) int."""
    labels = {brand: label for label, brand in enumerate(brands)}
    return np.array([labels[photo.actual] for photo in photos])
