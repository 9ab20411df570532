"""Temperature scaling: one number that calibrates the probabilities.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: logits are divided by a
temperature, fitted on held-out photos. Above 1 it lowers the confidence, below 1 it raises it; the
predicted brand never changes.

It is fitted on the held-out photos of the cross-validation, whose heads are trained on fewer photos
than the final one. The final head is likely to be a little more accurate, so its probabilities are
slightly underconfident. Where a prediction averages over several views they are so twice: the
temperature is fitted on the unchanged photo, and a mean over views is less confident than one view.
"""

from __future__ import annotations

import math

import numpy as np

LOWEST, HIGHEST = 0.05, 20.0
# Prior: the standard deviation of the temperature's logarithm around 0, a factor of 1.65. A larger
# one would overfit few photos, a smaller one would not correct a miscalibrated head (LOG.md).
PRIOR_STD = 0.5
# As metrics are rounded, so that summary.json holds exactly the temperature in the model.
TEMPERATURE_DECIMALS = 4


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The maximum a posteriori temperature in LOWEST…HIGHEST.

    logits: (n, brands). labels: (n,) int. Minimizes the sum of the photos' log losses plus the
    negative log density of a normal prior on the logarithm of the temperature. The prior bounds
    the temperature where few photos are all correct, or all misclassified.

    Photos are not weighted, since the metrics are not, and weights would let the few photos of a
    rare brand decide the temperature.
    """
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(labels))
    # The largest logit is 0, so that no exponential overflows.
    centred = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)

    def objective(log_temperature: float) -> float:
        scaled = centred / math.exp(log_temperature)
        losses = np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, labels]
        return float(losses.sum() + 0.5 * (log_temperature / PRIOR_STD) ** 2)

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    best = minimize_scalar(objective, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return round(min(max(math.exp(best.x), LOWEST), HIGHEST), TEMPERATURE_DECIMALS)


def cross_fit(logits: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The logits (n, brands), each divided by the temperature fitted on the other folds.

    So metrics of the result are not optimistic: no photo influences its own temperature.
    """
    scaled = np.empty(logits.shape, np.float64)
    for fold in np.unique(folds):
        inside = folds == fold
        scaled[inside] = logits[inside] / fit_temperature(logits[~inside], labels[~inside])
    return scaled
