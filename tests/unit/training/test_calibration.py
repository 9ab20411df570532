"""Temperature scaling calibrates the probabilities, and changes little without evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from carbrand.training.calibration import HIGHEST, LOWEST, cross_fit, fit_temperature
from carbrand.training.problem import softmax


def draw(temperature: float, photos: int = 4000, brands: int = 4, seed: int = 0):
    """Logits, and labels drawn so that the logits over `temperature` are exactly calibrated."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (photos, brands))
    shares = softmax(logits / temperature)
    labels = (rng.random((photos, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(labels, brands - 1)


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(softmax(logits)[np.arange(len(labels)), labels]).mean())


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.0, 5.0])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(temperature):
    assert fit_temperature(*draw(temperature)) == pytest.approx(temperature, rel=0.06)


def test_no_temperature_near_it_gives_a_smaller_log_loss():
    logits, labels = draw(2.5)
    best = fit_temperature(logits, labels)
    for other in (0.9, 0.95, 1.05, 1.1):
        assert log_loss(logits / best, labels) < log_loss(logits / (best * other), labels)


def test_few_photos_all_correct_become_more_confident_but_not_certain():
    logits = np.eye(3)[[0, 1, 2, 0, 1, 2]] * 3.0
    temperature = fit_temperature(logits, np.array([0, 1, 2, 0, 1, 2]))
    assert 0.5 < temperature < 1
    assert softmax(logits / temperature).max() < 0.999


def test_more_photos_all_correct_become_more_confident():
    few, many = (
        fit_temperature(np.tile(np.eye(3) * 3.0, (n, 1)), np.tile(np.arange(3), n))
        for n in (2, 2000)
    )
    assert LOWEST <= many < few


def test_photos_all_misclassified_become_less_confident_within_the_bounds():
    logits = np.eye(3)[np.arange(300) % 3] * 10.0
    temperature = fit_temperature(logits, (np.arange(300) + 1) % 3)
    assert 2 < temperature <= HIGHEST


@pytest.mark.parametrize("photos", [1, 2])
def test_very_few_photos_hardly_change_the_temperature(photos):
    logits, labels = draw(5.0, photos=photos)
    assert 0.5 < fit_temperature(logits, labels) < 2


def test_equal_logits_leave_the_temperature_at_one():
    assert fit_temperature(np.zeros((9, 3)), np.arange(9) % 3) == pytest.approx(1.0, abs=1e-3)


def test_huge_logits_are_no_problem():
    logits, labels = draw(1.0, photos=50)
    assert math.isfinite(fit_temperature((logits * 1e4).astype(np.float32), labels))


def test_the_temperature_has_as_many_decimals_as_the_metrics():
    temperature = fit_temperature(*draw(2.0))
    assert temperature == round(temperature, 4)


def test_the_predicted_brand_stays_the_same():
    logits, labels = draw(3.0, photos=200)
    scaled = cross_fit(logits, labels, np.arange(200) % 5)
    assert np.array_equal(scaled.argmax(axis=1), logits.argmax(axis=1))


def test_the_photos_of_a_fold_do_not_affect_its_temperature():
    logits, labels = draw(3.0, photos=200)
    folds = np.arange(200) % 4
    before = cross_fit(logits, labels, folds)
    changed = np.where(folds == 1, (labels + 1) % 4, labels)
    after = cross_fit(logits, changed, folds)
    assert np.array_equal(after[folds == 1], before[folds == 1])
    assert not np.allclose(after[folds != 1], before[folds != 1])
    for fold in range(4):
        inside = folds == fold
        expected = fit_temperature(logits[~inside], labels[~inside])
        assert np.allclose(before[inside] * expected, logits[inside])


def test_the_confidence_that_label_smoothing_takes_is_restored():
    """Logits of a third of the calibrated ones get the temperature 1/3."""
    logits, labels = draw(1.0)
    silenced = logits / 3
    temperature = fit_temperature(silenced, labels)
    assert temperature == pytest.approx(1 / 3, rel=0.06)
    before, after = log_loss(silenced, labels), log_loss(silenced / temperature, labels)
    assert after < before
    assert after == pytest.approx(log_loss(logits, labels), rel=5e-3)
