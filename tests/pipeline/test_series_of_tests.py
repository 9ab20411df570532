"""What `evaluate` does with test photos of a series of training photos; what `train` repeats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carbrand.node.errors import UserError
from carbrand.node.params import read_section
from carbrand.photos.manifest import Row
from carbrand.vectors.feature_store import Features, Recipe
from stages.evaluate import apply_series
from stages.train import TrainParams, accuracies_of_other_foldings
from tests.conftest import ROOT

ROWS = [
    Row("Datasets/test/audi/1.jpg", "test", "audi"),
    Row("Datasets/test/audi/2.jpg", "test", "audi"),
    Row("Datasets/test/audi/3.jpg", "test", "audi", issues=("leaked",)),
]
SERIES = {row.path: "Datasets/train/audi/9.jpg" for row in (ROWS[0], ROWS[2])}


def test_a_warning_keeps_them_and_marks_those_that_are_no_copies():
    assert apply_series(ROWS, SERIES, "warn") == (ROWS, {ROWS[0].path})
    assert apply_series(ROWS, SERIES, "ignore") == (ROWS, set())


def test_they_can_be_excluded():
    assert apply_series(ROWS, SERIES, "exclude") == (ROWS[1:], set())


def test_an_error_names_both_photos_and_what_to_do():
    with pytest.raises(UserError) as caught:
        apply_series(ROWS, SERIES, "error")
    (line,) = caught.value.problems
    assert line.startswith("Datasets/test/audi/1.jpg is from one series with Datasets/train/audi/9")
    assert line.endswith("set validate.series: exclude")


def test_a_test_set_of_series_only_cannot_be_excluded():
    with pytest.raises(UserError, match="nothing is left"):
        apply_series([ROWS[0], ROWS[2]], SERIES, "exclude")


@pytest.mark.parametrize(("photos", "others"), [(30, 2), (600, 1), (1200, 0)])
def test_foldings_are_repeated_until_a_thousand_photos_were_asked(photos, others):
    labels = np.arange(photos) % 3
    noise = np.random.default_rng(0).normal(0, 1, (photos, 1, 6))
    vectors = (np.eye(3, 6)[labels][:, None] + noise).astype(np.float32)
    names, brands = [f"{n:04}" for n in range(photos)], [f"brand {label}" for label in labels]
    features = Features(vectors, names, brands, names, names, Recipe("stretch", 32, (6,)), Path())
    params = replace(read_section(ROOT / "params.yaml", "train", TrainParams), epochs=3)
    found = accuracies_of_other_foldings(features, params)
    assert len(found) == others
    assert accuracies_of_other_foldings(features, replace(params, foldings=1)) == []
    if others == 2:
        assert len({*found, *accuracies_of_other_foldings(features, replace(params, seed=9))}) > 1
