"""Temperature scaling: one number that makes probabilities mean what they say.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: logits are divided by a
temperature, fitted on photos that the model has not learned from. Above 1 it makes less sure, below
1 surer; which brand is the likeliest, it never changes.

The photos it is fitted on are those held out of the folds. So it is the temperature of heads that
saw fewer photos than the one that ships, which is likely to be right a little more often: its
probabilities err to the cautious side. Where a prediction averages over several views, they do so
twice: the temperature is that of the photo as it is, and the mean of views is less sure than one.
"""

from __future__ import annotations

import math

import numpy as np

LOWEST, HIGHEST = 0.05, 20.0
# How far from 1 a temperature is expected: the standard deviation of its logarithm, a factor of
# 1.65. A larger spread would follow the chance of few photos, a smaller one would leave a head
# that is really too sure, or not sure enough, as it is (LOG.md).
EXPECTED_SPREAD = 0.5
# As metrics are rounded: summary.json then holds the very number that the model was divided by.
TEMPERATURE_DECIMALS = 4


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in LOWEST…HIGHEST that makes the labels likeliest, given that 1 is expected.

    logits: (n, brands). labels: (n,) int. The log loss of all photos together, plus a normal
    distribution's for the logarithm of the temperature: for many photos it is the former alone, and
    few that are all right, whose log loss would be least at 0, or all wrong, go only so far.

    Every photo counts once, whatever the weights in training: so do all metrics that the
    temperature is to serve, and weights would let the few photos of a rare brand decide it.
    """
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(labels))
    # The likeliest brand at 0, so that no power overflows.
    centred = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)

    def surprise(log_temperature: float) -> float:
        scaled = centred / math.exp(log_temperature)
        losses = np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, labels]
        return float(losses.sum() + 0.5 * (log_temperature / EXPECTED_SPREAD) ** 2)

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    best = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return round(min(max(math.exp(best.x), LOWEST), HIGHEST), TEMPERATURE_DECIMALS)


def cross_fit(logits: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The logits (n, brands) over a temperature each, fitted on the photos of the other folds.

    So no photo has a say in its own temperature, and what is measured afterwards is no flattery.
    """
    scaled = np.empty(logits.shape, np.float64)
    for fold in np.unique(folds):
        inside = folds == fold
        scaled[inside] = logits[inside] / fit_temperature(logits[~inside], labels[~inside])
    return scaled
