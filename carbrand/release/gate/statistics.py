"""Statistical tests for two models on the same photos.

Of `n` photos, only the new model is correct for `gained`, only the old one for `lost`. All
functions depend on these three counts only.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from scipy.special import betainc, gammaln, xlogy

RESAMPLES = 10_000
SEED = 0
# Grid points for the nuisance parameter, the unknown share of photos gained.
COARSE, FINE = 128, 33
# Statistics that differ by less are equal up to rounding.
TOLERANCE = 1e-9
# Standard deviations; a binomial deviates more from its mean with a probability below 1e-14.
MAX_DEVIATION = 8
MAX_PHOTOS = 1_000_000


def mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact test: the two-sided p-value of the hypothesis of equal accuracy.

    McNemar, Psychometrika 12 (1947): a binomial test of `gained` among the discordant photos.
    """
    return min(1.0, 2 * float(binomial_tail(max(gained, lost), gained + lost, 0.5)))


def worse(gained: int, lost: int) -> float:
    """The exact one-sided p-value of the hypothesis that the new model is not worse."""
    return float(binomial_tail(lost, gained + lost, 0.5))


def bootstrap_interval(
    n: int, gained: int, lost: int, share: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The paired bootstrap interval (percentiles) of the difference of accuracy.

    Resampling the photos is equivalent to drawing the counts from a multinomial distribution.
    """
    rng = np.random.default_rng(SEED)
    counts = rng.multinomial(n, [gained / n, lost / n, (n - gained - lost) / n], resamples)
    tail = 50 * (1 - share)
    low, high = np.percentile((counts[:, 0] - counts[:, 1]) / n, [tail, 100 - tail])
    return float(low), float(high)


def score(n: int, gained: np.ndarray, lost: np.ndarray, margin: float) -> np.ndarray:
    """Tango's score statistic for non-inferiority; a high value rejects a loss of `margin`.

    Tango, Statistics in Medicine 17 (1998), 891-908. The variance is estimated under a loss of
    exactly `margin`, so it is not 0 without discordant photos.
    """
    linear = -(gained + lost) - margin * (2 * n - gained + lost)
    constant = lost * margin * (1 + margin)
    share_lost = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
    variance = n * (2 * share_lost - margin * (1 + margin))
    distance = gained - lost + margin * n
    # 0 / 0 without margin and discordant photos, where the statistic is 0.
    return distance / np.sqrt(np.where(variance > 0, variance, 1.0))


def non_inferiority(n: int, gained: int, lost: int, margin: float) -> float:
    """The exact p-value of the hypothesis that the new model loses `margin` of accuracy or more.

    The probability of a table at least as extreme by Tango's statistic, maximized over the unknown
    share of discordant photos. The maximum is at a difference of exactly `margin`, since the
    statistic increases with `gained` and decreases with `lost` (Hsueh, Liu and Chen, Biometrics 57,
    2001, 478-483).
    """
    found = float(score(n, np.array(gained), np.array(lost), margin))
    least = _least_gained(n, found, margin)
    # The probability changes fastest near a share of 0, so the grid is denser there.
    shares = (1 - margin) / 2 * np.linspace(0, 1, COARSE) ** 2
    probabilities = _tail_probabilities(n, least, shares, margin)
    worst = int(probabilities.argmax())
    around = np.linspace(shares[max(worst - 1, 0)], shares[min(worst + 1, COARSE - 1)], FINE)
    refined = _tail_probabilities(n, least, around, margin)
    return min(1.0, float(max(probabilities.max(), refined.max())))


def _least_gained(n: int, threshold: float, margin: float) -> np.ndarray:
    """For 0…n photos lost, the least `gained` that reaches the threshold, (n + 1,) int.

    One more than possible if none does. By bisection, as the statistic increases with `gained`.
    """
    lost = np.arange(n + 1)
    low, high = np.zeros(n + 1, int), n - lost + 1
    while (low < high).any():
        middle = (low + high) // 2
        enough = score(n, middle, lost, margin) >= threshold - TOLERANCE
        open_still = low < high
        high = np.where(open_still & enough, middle, high)
        low = np.where(open_still & ~enough, middle + 1, low)
    return low


def _tail_probabilities(n: int, least: np.ndarray, gained: np.ndarray, margin: float) -> np.ndarray:
    """Probabilities (k,) of tables with at least `least` photos gained, at a difference of −margin.

    gained: shares of photos gained, (k,).
    """
    share = gained[:, None] + margin  # of photos lost, (k, 1)
    mean, near = n * share, MAX_DEVIATION * (np.sqrt(n * share * (1 - share)) + 5)
    first = np.maximum(np.floor(mean - near), 0)
    width = min(math.ceil(2 * near.max()), n) + 1
    lost = np.minimum(first + np.arange(width), n).astype(int)  # (k, width)
    repeated = np.diff(lost, axis=1, prepend=-1) == 0
    logs = gammaln(n + 1) - gammaln(lost + 1) - gammaln(n - lost + 1)
    weights = np.exp(logs + xlogy(lost, share) + xlogy(n - lost, 1 - share))
    conditional = np.minimum(gained[:, None] / (1 - share), 1)
    enough = binomial_tail(least[lost], n - lost, conditional)
    return np.where(repeated, 0, weights * enough).sum(axis=1)


def binomial_tail(
    successes: np.ndarray | int, trials: np.ndarray | int, share: np.ndarray | float
) -> np.ndarray:
    """The probability of at least `successes` in independent trials with success rate `share`."""
    successes, trials = np.asarray(successes, float), np.asarray(trials, float)
    possible = np.clip(successes, 1, np.maximum(trials, 1))
    tail = betainc(possible, trials - possible + 1, share)
    return np.where(successes <= 0, 1.0, np.where(successes > trials, 0.0, tail))


def photos_needed(n: int, gained: int, lost: int, margin: float, level: float) -> int | None:
    """About how many photos would show non-inferiority with the same shares gained and lost.

    None if no number would, or only more than MAX_PHOTOS.
    """
    if gained - lost <= -margin * n:
        return None
    # First estimate: with constant shares Tango's statistic grows with the square root of the
    # number of photos, up to the normal quantile.
    found = float(score(n, np.array(gained), np.array(lost), margin))
    photos = max(1, math.ceil(n * (NormalDist().inv_cdf(1 - level) / found) ** 2))
    while photos <= MAX_PHOTOS:
        # Rounded conservatively.
        more, less = math.floor(gained * photos / n), math.ceil(lost * photos / n)
        fits = more + less <= photos
        if fits and non_inferiority(photos, more, less, margin) <= level:
            break
        photos = math.ceil(1.03 * photos)
    digit = 10 ** max(len(str(photos)) - 2, 0)
    photos = math.ceil(photos / digit) * digit
    return photos if photos <= MAX_PHOTOS else None
