"""The numbers are right: against values worked out by hand or published."""

from __future__ import annotations

import math

import pytest

from carbrand.evaluation import (
    PredictedPhoto,
    evaluate_photos,
    expected_calibration_error,
    log_loss,
    score_brand,
    wilson_interval,
)

BRANDS = ["a", "b"]


def photo(actual: str, p_a: float, leaked: bool = False) -> PredictedPhoto:
    predicted = "a" if p_a >= 0.5 else "b"
    return PredictedPhoto("x.jpg", actual, predicted, max(p_a, 1 - p_a), leaked, (p_a, 1 - p_a))


PHOTOS = [
    photo("a", 0.9),
    photo("a", 0.6),
    photo("a", 0.2),  # wrong
    photo("b", 0.1),
    photo("b", 0.7),  # wrong
    photo("a", 0.95, leaked=True),
    photo("b", 0.05, leaked=True),
]


def test_leaked_photos_count_as_given_only():
    metrics = evaluate_photos(PHOTOS, BRANDS, 10)
    assert (metrics["images"], metrics["accuracy"]) == (5, 3 / 5)
    assert metrics["as_given"] == {"accuracy": 5 / 7, "images": 7}


def test_leaked_photos_change_no_other_number():
    with_leaks = evaluate_photos(PHOTOS, BRANDS, 10)
    without = evaluate_photos([p for p in PHOTOS if not p.leaked], BRANDS, 10)
    del with_leaks["as_given"], without["as_given"]
    assert with_leaks == without


def test_the_metrics_are_those_of_their_functions():
    honest = [p for p in PHOTOS if not p.leaked]
    metrics = evaluate_photos(PHOTOS, BRANDS, 7)
    assert metrics["ece"] == expected_calibration_error(honest, 7)
    assert metrics["log_loss"] == log_loss(honest, BRANDS)
    assert metrics["brand"] == {brand: score_brand(honest, brand) for brand in BRANDS}
    assert (metrics["accuracy_low"], metrics["accuracy_high"]) == wilson_interval(3, 5)
    assert metrics["macro"]["f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_wilson_interval_equals_the_published_one(right, n, low, high):
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_all_right_ends_at_one():
    low, high = wilson_interval(10, 10)
    assert high == 1.0
    assert low == pytest.approx(0.7225, abs=1e-4)


def test_brand_scores_are_those_worked_out_by_hand():
    # a: 3 photos, predicted 3 times, right 2 times
    scores = score_brand(PHOTOS[:5], "a")
    assert scores == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3})


def test_a_brand_never_predicted_scores_zero_not_nan():
    photos = [photo("a", 0.9), photo("b", 0.9)]
    assert score_brand(photos, "b") == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_macro_leaves_out_brands_without_leak_free_photos():
    photos = [photo("a", 0.9), photo("b", 0.1, leaked=True)]
    assert evaluate_photos(photos, BRANDS, 10)["macro"]["recall"] == 1.0


def test_log_loss_is_the_mean_surprise():
    photos = [photo("a", 0.5), photo("b", 0.75)]
    assert log_loss(photos, BRANDS) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_log_loss_of_a_sure_mistake_is_finite():
    assert math.isfinite(log_loss([photo("b", 1.0)], BRANDS))


def test_calibration_error_is_zero_where_confidence_is_true():
    photos = [photo("a", 0.75)] * 3 + [photo("b", 0.75)]
    assert expected_calibration_error(photos, 10) == pytest.approx(0.0)


def test_calibration_error_is_the_gap():
    assert expected_calibration_error([photo("b", 0.85)] * 4, 10) == pytest.approx(0.85)
    mixed = [photo("a", 1.0)] * 2 + [photo("b", 0.55)] * 2
    assert expected_calibration_error(mixed, 10) == pytest.approx(0.275)
