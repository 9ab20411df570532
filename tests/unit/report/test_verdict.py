"""The sentences on held-out photos and series."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbrand.node.wording import NO_BREAK
from carbrand.photos.folders.folder_findings import RatedFinding
from carbrand.report.results import Accuracy, HeldOut, Results
from carbrand.report.verdict import gap_sentence, held_out_sentence, series_sentence
from tests.support.made_up_run import MadeUpRun, read_run

DRIFT = RatedFinding("drift", "warn", "Datasets/test", "darker")


@pytest.fixture
def run(tmp_path, monkeypatch) -> Results:
    root = MadeUpRun().write(tmp_path / "run")
    monkeypatch.chdir(root)
    return read_run(root)


def promising(
    run: Results, difference: float, low: float, high: float, foldings: int = 1
) -> Results:
    brands = dict.fromkeys(run.brands, (1.0, 9))
    accuracy = Accuracy(0.9, 0.8, 0.95, 64)
    held_out = HeldOut(accuracy, foldings, 0.85, 0.92, brands, difference, low, high)
    return replace(run, metrics=replace(run.metrics, held_out=held_out))


def test_a_model_that_says_nothing_of_held_out_photos_gets_no_sentence(run):
    assert held_out_sentence(run) == gap_sentence(run) == series_sentence(run) == ""


def test_the_spread_of_training_stands_beside_the_interval(run):
    one = held_out_sentence(promising(run, 0, -1, 1))
    assert "90.0" in one
    assert "foldings" not in one
    assert "over 3 foldings 85.0–92.0" in held_out_sentence(promising(run, 0, -1, 1, foldings=3))


def test_a_difference_within_the_interval_is_chance(run):
    assert "Chance can explain" in gap_sentence(promising(run, -0.05, -0.1, 0.01))


def test_harder_test_photos_are_named_with_brands_and_a_reason(run):
    sentence = gap_sentence(promising(run, -0.2, -0.3, -0.1))
    assert f"harder by 20.0{NO_BREAK}points" in sentence
    assert "features.series" in sentence
    worst = max(run.brands, key=lambda brand: sum(p.actual == brand for p in run.wrong))
    assert f"Most of it comes from {worst} (" in sentence
    drifting = replace(run, folders=(DRIFT,))
    assert "unlike the training photos" in gap_sentence(promising(drifting, -0.2, -0.3, -0.1))


def test_easier_test_photos_are_a_warning_too(run):
    assert "easier" in gap_sentence(promising(run, 0.2, 0.1, 0.3))


def test_the_accuracy_without_photos_of_training_series_is_told(run):
    photos = len(run.leak_free)
    others = Accuracy(0.5, 0.4, 0.6, photos - 2)
    some = replace(run, metrics=replace(run.metrics, without_series=others))
    assert "2 of the leak-free test photos are from series" in series_sentence(some)
    assert "50.0" in series_sentence(some)
    none = replace(run, metrics=replace(run.metrics, without_series=None))
    assert series_sentence(none).endswith("none is left without them.")
