"""What the heads of the folds predict of the training photos that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carbrand.scores.evaluation import (
    PredictedPhoto,
    expected_calibration_error,
    log_loss,
    make_predicted,
)
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
