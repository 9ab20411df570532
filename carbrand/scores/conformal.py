"""Sets of brands that hold the right one with a promised chance: conformal prediction.

The set of a photo is every brand that is probable enough (LAC: Sadinle, Lei and Wasserman, "Least
Ambiguous Set-Valued Classifiers with Bounded Error Levels", JASA 114, 2019), and the most probable
one in any case. Adaptive sets, APS and RAPS, were measured beside it: they were larger, the largest
where the model is sure (docs/unknown-photos-and-sets.md).

The limit comes from the held-out photos of a cross-validation (cross-conformal: Vovk, Annals of
Mathematics and Artificial Intelligence 74, 2015). The promise is for photos that are like those:
coverage on the test photos says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.scores.files.predictions_file import PROBABILITY_DECIMALS
from carbrand.scores.unknown import conformal_quantile


@dataclass(frozen=True)
class SetRule:
    """Sets that hold the right brand with a chance of `level`: the brands of which the probability
    is at least `least`.
    """

    level: float
    least: float

    def brands_of(self, probabilities: Sequence[float], brands: Sequence[str]) -> tuple[str, ...]:
        """The set for one photo, the most probable brand first; never empty."""
        order = sorted(range(len(brands)), key=lambda label: -probabilities[label])
        size = sum(probability >= self.least for probability in probabilities)
        return tuple(brands[label] for label in order[: max(1, size)])


def calibrate_sets(probabilities: np.ndarray, labels: np.ndarray, level: float) -> SetRule:
    """The rule whose sets hold the right brand with a chance of `level`.

    probabilities: (n, brands), of photos that the weights in question have not seen. labels: (n,).
    """
    rounded = np.round(probabilities.astype(np.float64), PROBABILITY_DECIMALS)  # as in files
    of_actual = rounded[np.arange(len(labels)), labels]
    return SetRule(level, -conformal_quantile(-of_actual, level))
