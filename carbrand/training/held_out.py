"""What the heads of the folds predict of the training photos that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carbrand.scores.conformal import SetRule, calibrate_sets
from carbrand.scores.evaluation import (
    PredictedPhoto,
    expected_calibration_error,
    log_loss,
    make_predicted,
)
from carbrand.scores.unknown import BrandSpace, UnknownRule, calibrate_unknown, hold_out_distances
from carbrand.training.problem import softmax
from carbrand.vectors.feature_store import Features

# As by default of evaluate.ece_bins, on which no training may depend.
ECE_BINS = 10


def predict_held_out(logits: np.ndarray, features: Features) -> list[PredictedPhoto]:
    """The training photos with their predictions, from logits (n, brands) of the folds' heads."""
    brands = features.brands
    return [
        make_predicted(path, brand, False, probabilities, brands)
        for path, brand, probabilities in zip(
            features.paths, features.photo_brands, softmax(logits), strict=True
        )
    ]


def score_held_out(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> dict[str, float]:
    """Log loss and calibration error."""
    return {
        "log_loss": log_loss(photos, brands),
        "ece": expected_calibration_error(photos, ECE_BINS),
    }


def fit_rules(
    features: Features, folds: np.ndarray, logits: np.ndarray, share: float, level: float
) -> tuple[UnknownRule | None, SetRule]:
    """By what a photo is unknown, and which brands are in its set.

    folds: (n,) int. logits: (n, brands), calibrated, of the folds' heads. share: of known photos
    that may be called unknown; 0 switches it off. level: the promised chance of the sets.
    """
    labels, widths, probabilities = features.labels, features.recipe.widths, softmax(logits)
    sets = calibrate_sets(probabilities, labels, level)
    if not share:
        return None, sets
    vectors = features.vectors[:, 0]
    distances = hold_out_distances(vectors, labels, folds, widths)
    space = BrandSpace.fit(vectors, labels, widths)
    return calibrate_unknown(space, distances, probabilities, share), sets
