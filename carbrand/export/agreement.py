"""The agreement of an export's predictions with the Keras model, and its tolerances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbrand.node.wording import count, percent


@dataclass(frozen=True)
class Tolerance:
    """The tolerance of an export, in 0…1.

    same_brand: the least share of photos with the same predicted brand. largest, mean: the maximum
    and mean absolute difference of probabilities that are allowed.
    """

    same_brand: float
    largest: float
    mean: float

    def in_words(self) -> str:
        """All limits, for one line."""
        return (
            f"at least {percent(self.same_brand)}, at most {self.mean:.2g} and {self.largest:.2g}"
        )


@dataclass(frozen=True)
class Agreement:
    """Photos, those with the same predicted brand, and the differences of probabilities."""

    photos: int
    same_brand: int
    largest: float
    mean: float

    def keeps(self, tolerance: Tolerance) -> bool:
        """Whether all three are within the tolerance; NaN never is."""
        return (
            self.same_brand >= tolerance.same_brand * self.photos
            and self.largest <= tolerance.largest
            and self.mean <= tolerance.mean
        )

    def in_words(self) -> str:
        """The agreement in one line."""
        return (
            f"the same brand for {self.same_brand:,} of {count(self.photos, 'photo')}, "
            f"probabilities off by {self.mean:.2g} on average and {self.largest:.2g} at most"
        )


def measure_agreement(expected: np.ndarray, got: np.ndarray) -> Agreement:
    """The agreement of probabilities (n, brands), n at least 1; none if the shapes differ."""
    if got.shape != expected.shape:
        return Agreement(len(expected), 0, float("nan"), float("nan"))
    difference = np.abs(expected.astype(np.float64) - got)
    same = expected.argmax(axis=1) == got.argmax(axis=1)
    return Agreement(
        len(expected), int(same.sum()), float(difference.max()), float(difference.mean())
    )
