"""The gate's statistics, against brute force and against models drawn at random."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import binomtest, multinomial

from bench.gate import Tables
from carbrand.release.gate import statistics
from carbrand.release.gate.gate_params import GateParams

PARAMS = GateParams(
    margin=0.05, confidence=0.95, floor=0.3, min_support=5, verdicts=52, total_error=0.05, fresh=0.5
)
LEVEL = 0.05


def probabilities(n: int, gained: float, lost: float) -> np.ndarray:
    """The probability of each table of n photos."""
    tables = Tables.all(n).counts
    neither = n - tables.sum(axis=1)
    shares = [gained, lost, max(0.0, 1 - gained - lost)]
    return multinomial.pmf(np.column_stack([tables, neither]), n, shares)


@pytest.mark.parametrize(
    ("n", "gained", "lost", "margin"),
    [
        (10, 2, 1, 0.05), (20, 0, 0, 0.05), (20, 3, 2, 0.1), (30, 5, 3, 0.05), (30, 0, 4, 0.05),
        (25, 4, 0, 0.0), (12, 0, 0, 0.0), (15, 1, 1, 0.5), (7, 0, 7, 0.2), (7, 7, 0, 0.2),
    ],
)  # fmt: skip
def test_non_inferiority_is_the_worst_case_over_all_tables(n, gained, lost, margin):
    tables = Tables.all(n).counts
    scores = statistics.score(n, tables[:, 0], tables[:, 1], margin)
    found = statistics.score(n, np.array(gained), np.array(lost), margin)
    extreme = scores >= found - 1e-9
    shares = np.linspace(0, (1 - margin) / 2, 201)
    worst = max(probabilities(n, share, share + margin)[extreme].sum() for share in shares)
    p = statistics.non_inferiority(n, gained, lost, margin)
    assert p == pytest.approx(worst, abs=2e-4)
    assert p >= worst - 1e-6


@pytest.mark.parametrize(("n", "gained", "lost"), [(44, 12, 0), (38, 0, 0), (50, 3, 9), (9, 9, 0)])
@pytest.mark.parametrize("margin", [0.01, 0.05, 0.3])
def test_tangos_variance_is_that_of_the_likeliest_shares_at_the_margin(n, gained, lost, margin):
    """The closed form of the paper, against the likelihood maximised on a grid."""
    shares = np.linspace(1e-9, (1 - margin) / 2 - 1e-9, 400_001)
    likelihood = (
        xlogy(gained, shares)
        + xlogy(lost, shares + margin)
        + xlogy(n - gained - lost, 1 - 2 * shares - margin)
    )
    likeliest = shares[likelihood.argmax()]
    deviation = math.sqrt(n * (2 * likeliest + margin - margin**2))
    found = statistics.score(n, np.array(gained), np.array(lost), margin)
    assert found == pytest.approx((gained - lost + margin * n) / deviation, rel=1e-4)


@pytest.mark.parametrize("n", [5, 38, 60])
@pytest.mark.parametrize("margin", [0.0, 0.01, 0.05, 0.5])
def test_the_score_grows_with_photos_gained_and_falls_with_photos_lost(n, margin):
    """On this rests that no model worse than the margin is promoted more often than one at it."""
    for lost in range(n + 1):
        scores = statistics.score(n, np.arange(n - lost + 1), np.full(n - lost + 1, lost), margin)
        assert (np.diff(scores) > 0).all()
    for gained in range(n + 1):
        scores = statistics.score(
            n, np.full(n - gained + 1, gained), np.arange(n - gained + 1), margin
        )
        assert (np.diff(scores) < 0).all()


def test_no_model_at_or_beyond_the_margin_is_promoted_more_often_than_confidence_allows():
    """By adding up all tables, not by drawing some: for every share of photos that differ."""
    n, tables = 38, Tables.all(38).counts
    promoted = [statistics.non_inferiority(n, b, c, 0.05) <= LEVEL for b, c in tables.tolist()]
    shares = [
        probabilities(n, gained, gained + worse)[promoted].sum()
        for worse in (0.05, 0.06, 0.1, 0.3)
        for gained in np.linspace(0, (1 - worse) / 2, 20)
    ]
    assert max(shares) <= LEVEL
    assert max(shares) > 0.8 * LEVEL  # not by promoting next to nothing


@pytest.mark.parametrize("n", [38, 100, 1_000])
def test_of_simulated_retrainings_at_the_margin_at_most_one_in_twenty_is_promoted(n):
    bound = Tables.all(n).judge(PARAMS).bound
    assert 0.8 * LEVEL < bound <= LEVEL
    retrainings = 2_000
    by_chance = 3 * math.sqrt(LEVEL * (1 - LEVEL) / retrainings)
    for share in (0.1, 0.2, 0.3):
        at = Tables.draw(n, share, -0.05, retrainings).judge(PARAMS)
        assert at.promoted <= bound + by_chance
        assert Tables.draw(n, share, -0.1, retrainings).judge(PARAMS).promoted <= LEVEL / 2


@pytest.mark.parametrize(("n", "gained", "lost"), [(38, 4, 2), (100, 5, 5), (1_000, 95, 112)])
def test_the_worst_share_is_found_as_on_a_grid_of_thousands(n, gained, lost, monkeypatch):
    found = statistics.non_inferiority(n, gained, lost, 0.05)
    monkeypatch.setattr(statistics, "COARSE", 4_001)
    assert found == pytest.approx(statistics.non_inferiority(n, gained, lost, 0.05), abs=2e-5)


def test_a_bootstrap_interval_alone_would_promote_too_often_with_few_photos():
    tables = Tables.draw(38, 0.05, -0.05, 2_000)
    assert tables.promoted_by_bootstrap(PARAMS) > 2 * LEVEL
    assert tables.promoted_by_mcnemar(PARAMS) > 0.9
    assert statistics.bootstrap_interval(38, 0, 0) == (0.0, 0.0)
    assert statistics.non_inferiority(38, 0, 0, 0.05) > LEVEL


def test_with_enough_photos_an_equal_model_is_promoted_and_a_worse_one_rejected():
    assert Tables.draw(1_000, 0.1, 0.0, 500).judge(PARAMS).promoted > 0.99
    assert Tables.draw(1_000, 0.2, -0.1, 500).judge(PARAMS).rejected > 0.99


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (6, 0), (0, 6), (7, 3), (40, 60)])
def test_mcnemar_is_the_sign_test(gained, lost):
    n = gained + lost
    both = binomtest(gained, n, 0.5).pvalue if n else 1.0
    one = binomtest(lost, n, 0.5, "greater").pvalue if n else 1.0
    assert statistics.mcnemar(gained, lost) == pytest.approx(both)
    assert statistics.worse(gained, lost) == pytest.approx(one)


def test_six_photos_gained_and_none_lost_are_the_fewest_significant_by_mcnemar():
    assert statistics.mcnemar(6, 0) < 0.05 < statistics.mcnemar(5, 0)


def test_the_bootstrap_interval_equals_that_of_resampled_photos():
    n, gained, lost = 60, 9, 4
    signs = np.array([1] * gained + [-1] * lost + [0] * (n - gained - lost))
    rng = np.random.default_rng(1)
    means = [rng.choice(signs, n).mean() for _ in range(10_000)]
    expected = np.percentile(means, [2.5, 97.5])
    interval = statistics.bootstrap_interval(n, gained, lost)
    assert interval == pytest.approx(expected, abs=1.01 / n)  # a photo more or less
    assert interval == statistics.bootstrap_interval(n, gained, lost)


@pytest.mark.parametrize(
    ("n", "gained", "lost"), [(38, 0, 0), (48, 3, 2), (37, 2, 3), (1000, 50, 90)]
)
def test_as_many_photos_as_needed_are_enough(n, gained, lost):
    needed = statistics.photos_needed(n, gained, lost, 0.05, LEVEL)
    assert needed is not None
    assert needed > n

    def p(photos: int) -> float:
        more, less = gained * photos // n, -(-lost * photos // n)
        return statistics.non_inferiority(photos, more, less, 0.05)

    assert p(needed) <= 1.1 * LEVEL
    assert p(round(0.8 * needed)) > LEVEL


def test_59_photos_with_equal_predictions_are_the_fewest_that_show_five_points():
    """0.95 to the power of 59 is below 0.05: as few could all be alike by chance."""
    assert statistics.non_inferiority(59, 0, 0, 0.05) == pytest.approx(0.95**59)
    assert 59 <= (statistics.photos_needed(38, 0, 0, 0.05, LEVEL) or 0) <= 62


@pytest.mark.parametrize(("gained", "lost", "margin"), [(0, 5, 0.05), (3, 9, 0.05), (0, 0, 0.0)])
def test_no_number_of_photos_is_enough_at_the_margin_or_beyond(gained, lost, margin):
    assert statistics.photos_needed(100, gained, lost, margin, LEVEL) is None


@pytest.mark.parametrize("level", [0.5, 0.001])
@pytest.mark.parametrize("margin", [0.0, 0.001, 0.5])
def test_the_ends_of_what_params_yaml_allows_give_probabilities(level, margin):
    for n in (1, 2, 40):
        for gained, lost in ((0, 0), (n, 0), (0, n), (n // 2, n - n // 2)):
            p = statistics.non_inferiority(n, gained, lost, margin)
            assert 0 <= p <= 1
            needed = statistics.photos_needed(n, gained, lost, margin, level)
            assert (needed is None) or needed >= 1


def test_more_than_a_million_photos_needed_is_none():
    assert statistics.photos_needed(100_000, 4_000, 8_999, 0.05, LEVEL) is None
