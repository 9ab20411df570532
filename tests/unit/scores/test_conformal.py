"""Sets of brands hold the right one with the promised chance."""

from __future__ import annotations

import numpy as np
import pytest

from carbrand.scores.conformal import calibrate_sets
from carbrand.training.problem import softmax

BRANDS = [f"brand-{number}" for number in range(8)]


def draw(seed: int, n: int, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, brands), as sure as `sharpness` times the truth, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, len(BRANDS)))
    labels = np.array([rng.choice(len(BRANDS), p=row) for row in softmax(logits)])
    return softmax(sharpness * logits), labels


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
@pytest.mark.parametrize("level", [0.8, 0.9, 0.97])
def test_sets_hold_the_right_brand_as_often_as_promised_even_of_an_overconfident_model(
    level, sharpness
):
    rule = calibrate_sets(*draw(0, 2000, sharpness), level)
    probabilities, labels = draw(1, 2000, sharpness)
    sets = [rule.brands_of(row, BRANDS) for row in probabilities]
    covered = np.mean([BRANDS[label] in brands for label, brands in zip(labels, sets, strict=True)])
    assert level - 0.02 < covered < level + 0.035
    assert np.mean([len(brands) for brands in sets]) < 6


def test_a_torn_photo_gets_a_larger_set_than_a_sure_one():
    rule = calibrate_sets(*draw(0, 500), 0.9)
    sure, torn = [0.02, 0.98, *[0.0] * 6], [0.4, 0.3, 0.3, *[0.0] * 5]
    assert rule.brands_of(sure, BRANDS) == ("brand-1",)
    assert rule.brands_of(torn, BRANDS) == ("brand-0", "brand-1", "brand-2")


def test_a_set_is_never_empty_and_begins_with_the_most_probable_brand():
    always_right = np.eye(8)[np.arange(100) % 8] * 0.93 + 0.00875
    rule = calibrate_sets(always_right, np.arange(100) % 8, 0.6)
    assert rule.brands_of([0.3, 0.7, *[0.0] * 6], BRANDS) == ("brand-1",)
    probabilities, _ = draw(2, 200)
    for row in probabilities:
        brands = rule.brands_of(row, BRANDS)
        assert brands[0] == BRANDS[int(row.argmax())]
        assert list(brands) == sorted(brands, key=lambda brand: -row[BRANDS.index(brand)])


def test_in_a_tie_the_first_brand_comes_first():
    rule = calibrate_sets(*draw(0, 500), 0.9)
    assert rule.brands_of([0.5, 0.5, *[0.0] * 6], BRANDS)[0] == "brand-0"
