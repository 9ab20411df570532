"""Each invariant is checked, and its error names it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbrand.photos.manifest import Row
from carbrand.scores.evaluation import (
    PredictedPhoto,
    count_confusion,
    evaluate_photos,
    make_predicted,
)
from carbrand.scores.files.predictions_file import write_predictions
from carbrand.scores.invariants import (
    InvariantError,
    check_accuracy,
    check_brands,
    check_metrics,
    check_probabilities,
    check_rows,
    check_sets,
)
from stages.evaluate import evaluate

BRANDS = ["asta", "bolt", "cirro"]
ROWS = [Row(f"test/{brand}/{n}.jpg", "test", brand) for brand in BRANDS for n in range(2)]


def predict(rows: list[Row] = ROWS) -> list[PredictedPhoto]:
    """Photos predicted in the order of `rows`, one in three misclassified."""
    shares = [(0.7, 0.2, 0.1), (0.1, 0.8, 0.1), (0.25, 0.25, 0.5)]
    return [
        make_predicted(row.path, row.brand, False, shares[number % 3], BRANDS)
        for number, row in enumerate(rows)
    ]


def test_a_valid_evaluation_passes():
    photos = predict()
    metrics = evaluate_photos(photos, BRANDS, 10)
    check_rows(photos, ROWS)
    check_probabilities(photos, 6)
    check_brands(photos, BRANDS, BRANDS)
    check_accuracy(metrics["confusion"], metrics)


def test_a_missing_row_is_caught():
    with pytest.raises(InvariantError, match="5 of 6 are predicted"):
        check_rows(predict()[:-1], ROWS)


def test_rows_in_another_order_are_caught():
    photos = predict()
    photos[0], photos[1] = photos[1], photos[0]
    with pytest.raises(InvariantError, match=r"row 1 is test/asta/1.jpg"):
        check_rows(photos, ROWS)


def test_a_row_under_another_brand_is_caught():
    photos = predict()
    photos[2] = replace(photos[2], actual="asta")
    with pytest.raises(InvariantError, match=r"row 3 is test/bolt/0.jpg \(asta\)"):
        check_rows(photos, ROWS)


@pytest.mark.parametrize(
    "shares", [(0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5), (0.0, 0.0, 0.0)]
)
def test_probabilities_that_do_not_add_up_are_caught(shares):
    photos = predict()
    photos[4] = replace(photos[4], probabilities=shares)
    with pytest.raises(InvariantError, match=r"those of test/cirro/0.jpg"):
        check_probabilities(photos, 6)


def test_the_rounding_of_many_probabilities_is_accepted():
    shares = (round(1 / 300, 6),) * 300  # together 0.9999
    check_probabilities([PredictedPhoto("x", "a", "a", shares[0], False, shares)], 6)


def test_brands_in_another_order_are_caught():
    with pytest.raises(InvariantError, match="asta, cirro, bolt instead of asta, bolt, cirro"):
        check_brands(predict(), ["asta", "cirro", "bolt"], BRANDS)


def test_a_prediction_that_is_not_the_most_probable_brand_is_caught():
    photos = predict()
    photos[1] = replace(photos[1], predicted="asta")
    with pytest.raises(InvariantError, match=r"asta/1.jpg is predicted as asta with bolt at 0.8"):
        check_brands(photos, BRANDS, BRANDS)


def test_a_confidence_that_is_not_the_highest_probability_is_caught():
    photos = predict()
    photos[1] = replace(photos[1], confidence=0.9)
    with pytest.raises(InvariantError, match="the predicted brand is the most probable one"):
        check_brands(photos, BRANDS, BRANDS)


@pytest.mark.parametrize("brand_set", [("asta",), ("bolt", "cirro"), (), ("bolt", "bolt", "asta")])
def test_a_set_without_the_most_probable_brands_is_caught(brand_set):
    sets = [("asta",), ("bolt", "asta"), ("cirro", "asta", "bolt")] * 2
    photos = [replace(p, brand_set=s) for p, s in zip(predict(), sets, strict=True)]
    photos[1] = replace(photos[1], probabilities=(0.15, 0.8, 0.05))
    check_sets(photos, BRANDS)
    photos[1] = replace(photos[1], brand_set=brand_set)
    with pytest.raises(InvariantError, match=r"that of test/asta/1.jpg is (asta|bolt|empty)"):
        check_sets(photos, BRANDS)


def test_metrics_of_sets_and_unknown_photos_follow_from_the_rows():
    photos = [replace(p, brand_set=(p.predicted,), unknown=n == 2) for n, p in enumerate(predict())]
    metrics = evaluate_photos(photos, BRANDS, 10)
    right = sum(photo.predicted == photo.actual for photo in photos)
    assert metrics["conformal"]["coverage"] == pytest.approx(right / 6)
    assert metrics["conformal"]["coverage_low"] < right / 6 < metrics["conformal"]["coverage_high"]
    assert metrics["conformal"]["mean_size"] == 1
    assert metrics["unknown"]["share"] == pytest.approx(1 / 6)
    check_metrics(photos, BRANDS, metrics, 10)
    for name, value in {"conformal": {"coverage": 0.5}, "unknown": {"share": 0.5}}.items():
        with pytest.raises(InvariantError, match=f"{name}.*is 0.5"):
            check_metrics(photos, BRANDS, metrics | {name: value}, 10)


def test_an_accuracy_that_the_confusion_counts_do_not_give_is_caught():
    photos = predict()
    metrics = evaluate_photos(photos, BRANDS, 10)
    with pytest.raises(InvariantError, match=r"accuracy is 0.9"):
        check_accuracy(count_confusion(photos, BRANDS), metrics | {"accuracy": 0.9})
    with pytest.raises(InvariantError, match="it counts 5 photos, not 6"):
        check_accuracy(count_confusion(photos[1:], BRANDS), metrics)


def test_the_message_is_one_line_that_says_what_to_do():
    with pytest.raises(InvariantError) as caught:
        check_rows([], ROWS)
    (line,) = caught.value.problems
    assert "dvc repro --force" in line
    assert "\n" not in line


def test_the_node_counts_what_was_written(tmp_path):
    table = tmp_path / "predictions.csv"
    write_predictions(table, predict(), BRANDS)
    metrics = evaluate(table, ROWS, BRANDS, temperature=1.0, ece_bins=10)
    assert metrics == evaluate_photos(predict(), BRANDS, 10)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("p_asta,p_bolt", "p_bolt,p_asta", "the model's order"),
        ("test/bolt/0.jpg", "test/bolt/9.jpg", "test photos of the manifest"),
        ("0.700000,0.200000", "0.700000,0.300000", "add up to 1"),
        ("asta,asta", "asta,cirro", "the most probable one"),
    ],
)
def test_the_node_refuses_an_inconsistent_file(tmp_path, old, new, said):
    table = tmp_path / "predictions.csv"
    write_predictions(table, predict(), BRANDS)
    text = table.read_text("utf-8")
    assert old in text
    table.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(InvariantError, match=said):
        evaluate(table, ROWS, BRANDS, temperature=1.0, ece_bins=10)
