"""What held-out photos promise of a model, and how far its test photos are from that."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from carbrand.node.wording import percent
from carbrand.scores.evaluation import PredictedPhoto, count_correct, wilson_interval


@dataclass(frozen=True)
class HeldOutScore:
    """Of training photos, each predicted by weights that have not seen its series.

    correct, photos: by brand. series: how many the photos come from. accuracies: of each folding;
    the first is that of the counts.
    """

    correct: Mapping[str, int]
    photos: Mapping[str, int]
    series: int
    accuracies: tuple[float, ...]

    @property
    def accuracy(self) -> float:
        """The share of photos whose brand was predicted."""
        return sum(self.correct.values()) / sum(self.photos.values())

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, as if there were as many photos as series.

        Photos of one series are right or wrong together.
        """
        return wilson_interval(self.accuracy * self.series, self.series)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "correct": dict(self.correct),
            "photos": dict(self.photos),
            "series": self.series,
            "accuracies": list(self.accuracies),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> HeldOutScore:
        """Raises KeyError, TypeError or ValueError if it is none."""
        correct, photos = dict(content["correct"]), dict(content["photos"])
        if correct.keys() != photos.keys() or not sum(photos.values()) >= content["series"] >= 1:
            raise ValueError(content)
        accuracies = tuple(float(accuracy) for accuracy in content["accuracies"])
        return cls(correct, photos, int(content["series"]), accuracies)


def count_held_out(
    logits: np.ndarray,
    labels: np.ndarray,
    brands: Sequence[str],
    series: Sequence[str],
    other_accuracies: Sequence[float] = (),
) -> HeldOutScore:
    """From logits (n, brands) of photos with labels (n,). other_accuracies: of other foldings."""
    right = logits.argmax(axis=1) == labels
    correct = np.bincount(labels[right], minlength=len(brands)).tolist()
    photos = np.bincount(labels, minlength=len(brands)).tolist()
    return HeldOutScore(
        dict(zip(brands, correct, strict=True)),
        dict(zip(brands, photos, strict=True)),
        len(set(series)),
        (float(right.mean()), *other_accuracies),
    )


def score_gap(held_out: HeldOutScore, photos: Sequence[PredictedPhoto]) -> dict[str, Any]:
    """`held_out`, and `gap`: test minus held-out accuracy with its 95 % interval.

    photos: the leak-free test photos. The interval is Newcombe's (Statistics in Medicine 17, 1998,
    method 10), from the intervals of both accuracies.
    """
    low, high = held_out.interval()
    correct, images = count_correct(photos), len(photos)
    test_low, test_high = wilson_interval(correct, images)
    test, difference = correct / images, correct / images - held_out.accuracy
    return {
        "held_out": {
            "accuracy": held_out.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "images": sum(held_out.photos.values()),
            "series": held_out.series,
            "foldings": len(held_out.accuracies),
            "lowest": min(held_out.accuracies),
            "highest": max(held_out.accuracies),
            "brand": {
                brand: {"recall": held_out.correct[brand] / max(count, 1), "support": count}
                for brand, count in held_out.photos.items()
            },
        },
        "gap": {
            "difference": difference,
            "low": difference - math.hypot(test - test_low, high - held_out.accuracy),
            "high": difference + math.hypot(test_high - test, held_out.accuracy - low),
        },
    }


def brands_of_gap(
    held_out: Mapping[str, tuple[float, int]], photos: Sequence[PredictedPhoto]
) -> list[tuple[str, int, int, float]]:
    """(brand, correct, photos, held-out recall) of brands that make the difference, largest first.

    Those whose test photos are right less often than held out, by the number of photos that it
    takes; one photo is chance. held_out: brand → recall and support.
    """
    support = Counter(photo.actual for photo in photos)
    correct = Counter(photo.actual for photo in photos if photo.correct)
    missing = {
        brand: recall * support[brand] - correct[brand]
        for brand, (recall, count) in held_out.items()
        if count and support[brand]
    }
    ranked = sorted(missing, key=lambda brand: (-missing[brand], brand))
    return [
        (brand, correct[brand], support[brand], held_out[brand][0])
        for brand in ranked
        if missing[brand] >= 1
    ]


def is_beyond_chance(gap: Mapping[str, float]) -> bool:
    """Whether the interval of `gap` in metrics.json leaves no room for no difference."""
    return not gap["low"] <= 0 <= gap["high"]


def describe_gap(metrics: Mapping[str, Any]) -> str:
    """The sentence that metrics.json allows; empty where it says nothing of held-out photos."""
    if "held_out" not in metrics:
        return ""
    held_out, gap = metrics["held_out"], metrics["gap"]
    both = (
        f"{percent(held_out['accuracy'])} of held-out training photos, "
        f"{percent(metrics['accuracy'])} of test photos"
    )
    if not is_beyond_chance(gap):
        return f"{both}: chance can explain the difference"
    than = "easier" if gap["difference"] > 0 else "harder"
    return (
        f"{both}: these are {than}, beyond chance (series, drift or other photos; see the report)"
    )
