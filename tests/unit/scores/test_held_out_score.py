"""What held-out photos promise, and the gap to the test photos."""

from __future__ import annotations

import json

import numpy as np
import pytest

from carbrand.scores.evaluation import PredictedPhoto, wilson_interval
from carbrand.scores.held_out_score import (
    HeldOutScore,
    brands_of_gap,
    count_held_out,
    score_gap,
)


def photos_of(brand: str, right: int, wrong: int) -> list[PredictedPhoto]:
    other = "bmw" if brand == "audi" else "audi"
    named = [brand] * right + [other] * wrong
    return [PredictedPhoto(f"{n}", brand, it, 0.9, False, (0.9, 0.1)) for n, it in enumerate(named)]


def held_out_of(correct: int, photos: int, series: int | None = None) -> HeldOutScore:
    return HeldOutScore({"audi": correct}, {"audi": photos}, series or photos, (correct / photos,))


def test_counts_are_by_brand():
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    labels = np.array([0, 0, 1, 1])
    score = count_held_out(logits, labels, ["audi", "bmw"], ["s", "s", "t", "u"], [0.75])
    assert (score.correct, score.photos) == ({"audi": 1, "bmw": 1}, {"audi": 2, "bmw": 2})
    assert (score.accuracy, score.series, score.accuracies) == (0.5, 3, (0.5, 0.75))


def test_it_comes_back_from_json():
    score = HeldOutScore({"é": 3}, {"é": 4}, 2, (0.75, 0.5))
    assert HeldOutScore.from_json(json.loads(json.dumps(score.to_json()))) == score


@pytest.mark.parametrize(
    "wrong",
    [{"series": 5}, {"series": 0}, {"photos": {"bmw": 4}}, {"correct": None}, {"accuracies": "x"}],
)
def test_what_is_none_is_refused(wrong):
    content = HeldOutScore({"audi": 3}, {"audi": 4}, 2, (0.75,)).to_json() | wrong
    with pytest.raises((KeyError, TypeError, ValueError)):
        HeldOutScore.from_json(content)


def test_the_interval_counts_series_not_photos():
    assert held_out_of(80, 100).interval() == wilson_interval(80, 100)
    assert held_out_of(80, 100, series=10).interval() == wilson_interval(8, 10)


def test_the_interval_of_the_difference_is_newcombes():
    """His example (a): 56 of 70 and 48 of 80 give a difference of 0.2 (0.0524 to 0.3339)."""
    gap = score_gap(held_out_of(48, 80), photos_of("audi", 56, 14))["gap"]
    assert gap["difference"] == pytest.approx(0.2)
    assert (gap["low"], gap["high"]) == (
        pytest.approx(0.0524, abs=5e-5),
        pytest.approx(0.3339, abs=5e-5),
    )


def test_the_spread_is_that_of_the_foldings():
    score = HeldOutScore({"audi": 8}, {"audi": 10}, 10, (0.8, 0.9, 0.7))
    held_out = score_gap(score, photos_of("audi", 5, 5))["held_out"]
    assert (held_out["lowest"], held_out["highest"], held_out["foldings"]) == (0.7, 0.9, 3)
    assert held_out["brand"]["audi"] == {"recall": 0.8, "support": 10}


def test_brands_that_lost_most_photos_are_named_first():
    photos = [*photos_of("audi", 2, 8), *photos_of("bmw", 7, 3)]
    held_out = {"audi": (0.9, 30), "bmw": (0.9, 30), "vw": (1.0, 9)}
    assert brands_of_gap(held_out, photos) == [("audi", 2, 10, 0.9), ("bmw", 7, 10, 0.9)]


def test_less_than_a_photo_is_chance():
    assert brands_of_gap({"audi": (0.9, 30)}, photos_of("audi", 9, 1)) == []
