"""How far an export's answers are from those of the Keras model, and how far they may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbrand.node.wording import count, percent


@dataclass(frozen=True)
class Tolerance:
    """What an export must keep: shares and differences in 0…1.

    same_brand: the least share of photos that both models name alike. largest and mean: the most by
    which a probability may differ, in any photo and on average.
    """

    same_brand: float
    largest: float
    mean: float

    def in_words(self) -> str:
        """All of it, for a line."""
        return (
            f"at least {percent(self.same_brand)}, at most {self.mean:.2g} and {self.largest:.2g}"
        )


@dataclass(frozen=True)
class Agreement:
    """What was measured: photos, how many of them both models name alike, and differences."""

    photos: int
    same_brand: int
    largest: float
    mean: float

    def keeps(self, tolerance: Tolerance) -> bool:
        """Whether all three are within `tolerance`; what is not a number never is."""
        return (
            self.same_brand >= tolerance.same_brand * self.photos
            and self.largest <= tolerance.largest
            and self.mean <= tolerance.mean
        )

    def in_words(self) -> str:
        """All of it on one line."""
        return (
            f"the same brand for {self.same_brand:,} of {count(self.photos, 'photo')}, "
            f"probabilities off by {self.mean:.2g} on average and {self.largest:.2g} at most"
        )


def compare(expected: np.ndarray, got: np.ndarray) -> Agreement:
    """Both are probabilities (n, brands), n at least 1. Another shape agrees in nothing."""
    if got.shape != expected.shape:
        return Agreement(len(expected), 0, float("nan"), float("nan"))
    difference = np.abs(expected.astype(np.float64) - got)
    same = expected.argmax(axis=1) == got.argmax(axis=1)
    return Agreement(
        len(expected), int(same.sum()), float(difference.max()), float(difference.mean())
    )
