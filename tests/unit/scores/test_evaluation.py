"""The metrics equal values that were computed by hand or published."""

from __future__ import annotations

import math

import numpy as np
import pytest

from carbrand.node.files.metrics_file import write_metrics
from carbrand.scores.evaluation import (
    MAX_CONFUSION_BRANDS,
    PredictedPhoto,
    bin_by_confidence,
    brier_score,
    evaluate_photos,
    expected_calibration_error,
    log_loss,
    make_predicted,
    score_balanced,
    score_brand,
    top_k_accuracy,
    uncalibrate,
    wilson_interval,
)
from carbrand.training.problem import softmax

BRANDS = ["a", "b"]


def photo(actual: str, p_a: float, leaked: bool = False) -> PredictedPhoto:
    predicted = "a" if p_a >= 0.5 else "b"
    return PredictedPhoto("x.jpg", actual, predicted, max(p_a, 1 - p_a), leaked, (p_a, 1 - p_a))


PHOTOS = [
    photo("a", 0.9),
    photo("a", 0.6),
    photo("a", 0.2),  # misclassified
    photo("b", 0.1),
    photo("b", 0.7),  # misclassified
    photo("a", 0.95, leaked=True),
    photo("b", 0.05, leaked=True),
]


def test_leaked_photos_count_as_given_only():
    metrics = evaluate_photos(PHOTOS, BRANDS, 10)
    assert (metrics["images"], metrics["accuracy"]) == (5, 3 / 5)
    low, high = wilson_interval(5, 7)
    assert metrics["as_given"] == {
        "accuracy": 5 / 7,
        "accuracy_low": low,
        "accuracy_high": high,
        "images": 7,
    }
    assert metrics["leaked"] == 2


def test_leaked_photos_change_no_other_number():
    with_leaks = evaluate_photos(PHOTOS, BRANDS, 10)
    without = evaluate_photos([p for p in PHOTOS if not p.leaked], BRANDS, 10)
    for metrics in (with_leaks, without):
        del metrics["as_given"], metrics["leaked"]
    assert with_leaks == without


def test_the_metrics_are_those_of_their_functions():
    leak_free = [p for p in PHOTOS if not p.leaked]
    metrics = evaluate_photos(PHOTOS, BRANDS, 7, temperature=2.0)
    assert metrics["ece"] == expected_calibration_error(leak_free, 7)
    assert metrics["log_loss"] == log_loss(leak_free, BRANDS)
    assert metrics["brier"] == brier_score(leak_free, BRANDS)
    before = uncalibrate(leak_free, BRANDS, 2.0)
    assert metrics["uncalibrated"] == {
        "log_loss": log_loss(before, BRANDS),
        "brier": brier_score(before, BRANDS),
        "ece": expected_calibration_error(before, 7),
    }
    assert metrics["brand"] == {brand: score_brand(leak_free, brand) for brand in BRANDS}
    assert (metrics["accuracy_low"], metrics["accuracy_high"]) == wilson_interval(3, 5)
    assert metrics["macro"]["f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_wilson_interval_equals_the_published_one(correct, n, low, high):
    assert wilson_interval(correct, n) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_all_correct_ends_at_one():
    low, high = wilson_interval(10, 10)
    assert high == 1.0
    assert low == pytest.approx(0.7225, abs=1e-4)


def two_brands(correct_a: int, a: int, correct_b: int, b: int) -> list[PredictedPhoto]:
    """Photos of two brands, of which the first of each are correct."""
    return [photo("a", 0.9 if n < correct_a else 0.1) for n in range(a)] + [
        photo("b", 0.1 if n < correct_b else 0.9) for n in range(b)
    ]


def test_balanced_accuracy_is_not_that_of_the_majority():
    """2 photos of one brand beside 200 of the other, which is always predicted."""
    metrics = evaluate_photos(two_brands(0, 2, 200, 200), BRANDS, 10)
    assert metrics["accuracy"] == pytest.approx(200 / 202)
    assert metrics["balanced_accuracy"] == metrics["macro"]["recall"] == 0.5


def test_the_interval_of_balanced_accuracy_is_as_wide_as_the_smallest_brand_makes_it():
    scores = score_balanced(two_brands(1, 2, 190, 200))
    low, high = wilson_interval(1, 2)
    below, above = 0.95 - wilson_interval(190, 200)[0], wilson_interval(190, 200)[1] - 0.95
    assert scores == pytest.approx(
        {
            "balanced_accuracy": (0.5 + 0.95) / 2,
            "balanced_accuracy_low": 0.725 - math.sqrt((0.5 - low) ** 2 + below**2) / 2,
            "balanced_accuracy_high": 0.725 + math.sqrt((high - 0.5) ** 2 + above**2) / 2,
        }
    )


def test_of_one_brand_balanced_accuracy_is_accuracy():
    """Also where the other brands have no leak-free photo."""
    scores = score_balanced([photo("a", 0.9)] * 7 + [photo("a", 0.1)] * 2)
    low, high = wilson_interval(7, 9)
    assert list(scores.values()) == pytest.approx([7 / 9, low, high])


def test_the_interval_of_balanced_accuracy_has_its_coverage():
    """About 19 in 20 of them hold the mean of the true recalls, with few photos of one brand."""
    rng, true = np.random.default_rng(0), (0.8, 0.95)
    held = []
    for a, b in zip(rng.binomial(8, true[0], 400), rng.binomial(100, true[1], 400), strict=True):
        scores = score_balanced(two_brands(a, 8, b, 100))
        low, high = scores["balanced_accuracy_low"], scores["balanced_accuracy_high"]
        held.append(low <= sum(true) / 2 <= high)
    assert 0.92 <= np.mean(held) <= 0.99


def test_brand_scores_equal_those_computed_by_hand():
    # a: 3 photos, predicted 3 times, correct 2 times
    scores = score_brand(PHOTOS[:5], "a")
    assert scores == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3})


def test_a_brand_never_predicted_scores_zero_not_nan():
    photos = [photo("a", 0.9), photo("b", 0.9)]
    assert score_brand(photos, "b") == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_macro_leaves_out_brands_without_leak_free_photos():
    photos = [photo("a", 0.9), photo("b", 0.1, leaked=True)]
    assert evaluate_photos(photos, BRANDS, 10)["macro"]["recall"] == 1.0


def test_log_loss_is_the_mean_negative_log_probability():
    photos = [photo("a", 0.5), photo("b", 0.75)]
    assert log_loss(photos, BRANDS) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_log_loss_of_a_certain_mistake_is_finite():
    assert math.isfinite(log_loss([photo("b", 1.0)], BRANDS))


def test_calibration_error_is_zero_where_confidence_is_true():
    photos = [photo("a", 0.75)] * 3 + [photo("b", 0.75)]
    assert expected_calibration_error(photos, 10) == pytest.approx(0.0)


def test_calibration_error_is_the_gap():
    assert expected_calibration_error([photo("b", 0.85)] * 4, 10) == pytest.approx(0.85)
    mixed = [photo("a", 1.0)] * 2 + [photo("b", 0.55)] * 2
    assert expected_calibration_error(mixed, 10) == pytest.approx(0.275)


def test_confidence_on_the_edge_of_a_bin_belongs_to_the_upper_one():
    (found,) = bin_by_confidence([photo("a", 0.57)], 100)
    assert (found.low, found.high) == (0.57, 0.58)
    (last,) = bin_by_confidence([photo("a", 1.0)], 10)
    assert (last.low, last.high) == (0.9, 1.0)


def test_reliability_bins_hold_every_photo_once_and_their_accuracy():
    photos = [photo("a", 0.85), photo("b", 0.86), photo("a", 0.81), photo("b", 0.45)]
    lower, upper = bin_by_confidence(photos, 10)
    assert (lower.photos, lower.confidence, lower.accuracy) == (1, 0.55, 1.0)
    assert upper.photos == 3
    assert upper.confidence == pytest.approx(0.84)
    assert upper.accuracy == pytest.approx(2 / 3)
    assert (upper.accuracy_low, upper.accuracy_high) == wilson_interval(2, 3)


def test_brier_is_the_squared_distance_summed_over_brands():
    assert brier_score([photo("a", 0.7)], BRANDS) == pytest.approx(0.3**2 + 0.3**2)
    assert brier_score([photo("a", 0.0)], BRANDS) == pytest.approx(2.0)
    assert brier_score([photo("a", 1.0), photo("b", 0.0)], BRANDS) == 0.0


def test_confusion_counts_leak_free_photos_by_actual_and_predicted_brand():
    counts = evaluate_photos(PHOTOS, BRANDS, 10)["confusion"]
    assert counts == {"a": {"a": 2, "b": 1}, "b": {"a": 1, "b": 1}}


def many(brands: int) -> tuple[list[PredictedPhoto], list[str]]:
    """Forty photos of so many brands, with made-up probabilities."""
    names = [f"{number:03}" for number in range(brands)]
    shares = softmax(np.random.default_rng(brands).normal(0, 1, (40, brands)))
    photos = [
        make_predicted(f"{n}.jpg", names[n % brands], False, row, names)
        for n, row in enumerate(shares)
    ]
    return photos, names


def test_the_same_brands_have_the_same_keys_whatever_was_predicted():
    photos, names = many(7)
    some = evaluate_photos(photos[:3], names, 10, 2.0)
    everything = evaluate_photos(photos, names, 10)
    assert keys(some) == keys(everything)


def keys(metrics: dict) -> list[str]:
    return sorted(
        f"{key}.{inner}" if inner else key
        for key, value in metrics.items()
        for inner in (keys(value) if isinstance(value, dict) else [""])
    )


def test_every_metric_can_be_written_as_a_finite_number(tmp_path):
    for brands in (2, 7, 60):
        photos, names = many(brands)
        for part in (photos, photos[:1]):
            write_metrics(tmp_path / "metrics.json", evaluate_photos(part, names, 10, 3.0))


def test_confusion_is_left_out_where_it_would_be_most_of_the_file():
    for brands in (MAX_CONFUSION_BRANDS, MAX_CONFUSION_BRANDS + 1):
        photos, names = many(brands)
        metrics = evaluate_photos(photos, names, 10)
        assert ("confusion" in metrics) == (brands <= MAX_CONFUSION_BRANDS)


def test_top_5_is_there_where_there_are_more_than_5_brands():
    for brands in (5, 6):
        photos, names = many(brands)
        assert ("top_5" in evaluate_photos(photos, names, 10)) == (brands > 5)


def test_top_5_counts_photos_whose_brand_is_among_the_five_most_probable():
    names = list("abcdefg")
    shares = [0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05]
    photos = [make_predicted("x.jpg", actual, False, shares, names) for actual in "aefg"]
    assert top_k_accuracy(photos, names, 5) == 0.5
    assert top_k_accuracy(photos, names, 1) == 0.25


def test_ties_count_the_first_brands_as_the_top():
    names = list("abcdef")
    photos = [make_predicted("x.jpg", actual, False, [1 / 6] * 6, names) for actual in "aef"]
    assert [photo.predicted for photo in photos] == ["a", "a", "a"]
    assert top_k_accuracy(photos, names, 5) == pytest.approx(2 / 3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_uncalibrated_probabilities_are_those_before_the_temperature(temperature):
    logits = np.random.default_rng(0).normal(0, 2, (30, 4))
    names = list("abcd")
    written = np.round(softmax(logits / temperature), 6)
    photos = [make_predicted("x.jpg", "a", False, row, names) for row in written]
    before = uncalibrate(photos, names, temperature)
    assert np.allclose([p.probabilities for p in before], softmax(logits), atol=1e-3)
    for photo, old in zip(photos, before, strict=True):
        assert old.predicted == photo.predicted
        assert old.confidence == max(old.probabilities)


def test_a_probability_rounded_to_zero_can_be_uncalibrated():
    (old,) = uncalibrate([make_predicted("x.jpg", "a", False, (0.0, 1.0), BRANDS)], BRANDS, 20.0)
    assert sum(old.probabilities) == pytest.approx(1.0)
    assert math.isfinite(log_loss([old], BRANDS))
