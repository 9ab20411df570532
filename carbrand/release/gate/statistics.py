"""What counts of photos that two models name differently say about the models.

Of `n` photos, `gained` are named right by the new model only, `lost` by the old one only.
Everything here is a function of these three numbers: which photos they are does not matter.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from scipy.special import betainc, gammaln, xlogy

RESAMPLES = 10_000
SEED = 0
# Of the share of photos lost under the hypothesis, that is not known and has to be searched.
COARSE, FINE = 128, 33
# Statistics nearer than this are equal but for rounding.
SAME = 1e-9
# Standard deviations: a binomial is further from its mean less than once in 10^14.
FAR = 8
MOST_PHOTOS = 1_000_000


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p-value of the hypothesis that both models are equally often right.

    McNemar, Psychometrika 12 (1947): of the photos that one of them names right, each does half.
    """
    return min(1.0, 2 * float(at_least(max(gained, lost), gained + lost, 0.5)))


def worse(gained: int, lost: int) -> float:
    """The exact one-sided p-value of the hypothesis that the new model is not worse."""
    return float(at_least(lost, gained + lost, 0.5))


def bootstrap_interval(
    n: int, gained: int, lost: int, share: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Where `share` of the differences of accuracy lie when the photos are drawn anew.

    Percentiles of paired resamples. To draw n of n photos with replacement is to draw their counts
    from a multinomial with the shares observed, so the counts are drawn at once.
    """
    rng = np.random.default_rng(SEED)
    counts = rng.multinomial(n, [gained / n, lost / n, (n - gained - lost) / n], resamples)
    tail = 50 * (1 - share)
    low, high = np.percentile((counts[:, 0] - counts[:, 1]) / n, [tail, 100 - tail])
    return float(low), float(high)


def score(n: int, gained: np.ndarray, lost: np.ndarray, margin: float) -> np.ndarray:
    """Tango's score statistic: high where the new model surely loses less than `margin`.

    Tango, Statistics in Medicine 17 (1998), 891-908. Its variance is the one where the new
    model's accuracy is lower by exactly `margin`, so it is not 0 where no photo differs.
    """
    linear = -(gained + lost) - margin * (2 * n - gained + lost)
    constant = lost * margin * (1 + margin)
    share_lost = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
    variance = n * (2 * share_lost - margin * (1 + margin))
    distance = gained - lost + margin * n
    # 0 / 0 where the margin is 0 and no photo differs: nothing speaks for either model.
    return distance / np.sqrt(np.where(variance > 0, variance, 1.0))


def non_inferiority(n: int, gained: int, lost: int, margin: float) -> float:
    """The p-value of the hypothesis that the new model loses `margin` of accuracy or more.

    Exact: the probability of a table at least as extreme by Tango's statistic, at the worst share
    of photos that differ. Hsueh, Liu & Chen, Biometrics 57 (2001), 478-483: it is largest where the
    difference is exactly `margin`. (The statistic grows with each photo gained and falls with each
    photo lost, so a model that is worse still gets there less often.)
    """
    found = float(score(n, np.array(gained), np.array(lost), margin))
    least = _least_gained(n, found, margin)
    # The probability changes fastest where next to no photo is gained: more points there.
    shares = (1 - margin) / 2 * np.linspace(0, 1, COARSE) ** 2
    chances = _chances(n, least, shares, margin)
    worst = int(chances.argmax())
    around = np.linspace(shares[max(worst - 1, 0)], shares[min(worst + 1, COARSE - 1)], FINE)
    return min(1.0, float(max(chances.max(), _chances(n, least, around, margin).max())))


def _least_gained(n: int, threshold: float, margin: float) -> np.ndarray:
    """For 0…n photos lost, how many gained bring the statistic to the threshold, (n + 1,) int.

    One more than there can be where none do. The statistic grows with each photo gained.
    """
    lost = np.arange(n + 1)
    low, high = np.zeros(n + 1, int), n - lost + 1
    while (low < high).any():
        middle = (low + high) // 2
        enough = score(n, middle, lost, margin) >= threshold - SAME
        open_still = low < high
        high = np.where(open_still & enough, middle, high)
        low = np.where(open_still & ~enough, middle + 1, low)
    return low


def _chances(n: int, least: np.ndarray, gained: np.ndarray, margin: float) -> np.ndarray:
    """How likely tables are that gain `least` or more, where the difference is −margin.

    gained: shares of photos gained, (k,); so many chances are returned.
    """
    share = gained[:, None] + margin  # of photos lost, (k, 1)
    mean, near = n * share, FAR * (np.sqrt(n * share * (1 - share)) + 5)
    first = np.maximum(np.floor(mean - near), 0)
    width = min(math.ceil(2 * near.max()), n) + 1
    lost = np.minimum(first + np.arange(width), n).astype(int)  # (k, width)
    twice = np.diff(lost, axis=1, prepend=-1) == 0
    logs = gammaln(n + 1) - gammaln(lost + 1) - gammaln(n - lost + 1)
    weights = np.exp(logs + xlogy(lost, share) + xlogy(n - lost, 1 - share))
    of_the_rest = np.minimum(gained[:, None] / (1 - share), 1)
    enough = at_least(least[lost], n - lost, of_the_rest)
    return np.where(twice, 0, weights * enough).sum(axis=1)


def at_least(
    successes: np.ndarray | int, trials: np.ndarray | int, share: np.ndarray | float
) -> np.ndarray:
    """The probability of so many successes or more, of independent trials that succeed so often."""
    successes, trials = np.asarray(successes, float), np.asarray(trials, float)
    possible = np.clip(successes, 1, np.maximum(trials, 1))
    tail = betainc(possible, trials - possible + 1, share)
    return np.where(successes <= 0, 1.0, np.where(successes > trials, 0.0, tail))


def photos_needed(n: int, gained: int, lost: int, margin: float, level: float) -> int | None:
    """About how many photos would show non-inferiority, if the models go on differing as they do.

    None where no number would do, or only more than MOST_PHOTOS.
    """
    if gained - lost <= -margin * n:
        return None
    # Shares that stay let Tango's statistic grow with the root of the number, to what the normal
    # distribution asks for.
    found = float(score(n, np.array(gained), np.array(lost), margin))
    photos = max(1, math.ceil(n * (NormalDist().inv_cdf(1 - level) / found) ** 2))
    while photos <= MOST_PHOTOS:
        # Rounded against the new model.
        more, less = math.floor(gained * photos / n), math.ceil(lost * photos / n)
        fits = more + less <= photos
        if fits and non_inferiority(photos, more, less, margin) <= level:
            break
        photos = math.ceil(1.03 * photos)
    digit = 10 ** max(len(str(photos)) - 2, 0)
    photos = math.ceil(photos / digit) * digit
    return photos if photos <= MOST_PHOTOS else None
