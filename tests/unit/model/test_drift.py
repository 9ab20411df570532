"""Drift: seen where it is, not where it is not, and no more often than promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.drift import count_false_alarms
from carbrand.model.drift import compare_photos, permutation_pvalue, without_repeats
from carbrand.model.drift_params import DriftParams
from carbrand.model.looks_file import record_look
from carbrand.model.observation import Observation
from tests.support.running import THOROUGH

PARAMS = DriftParams(alpha=0.05, looks=52, photos=500)
RANDOM = np.random.default_rng(0)


def draw(number: int, spread: float = 1.0, brightness: float = 0.5) -> list[Observation]:
    return [
        Observation(
            name=f"p{row}",
            width=320,
            height=240,
            brightness=float(np.clip(RANDOM.normal(brightness, 0.1), 0, 1)),
            sharpness=0.6,
            predicted="asta",
            confidence=0.9,
            unknown_score=None,
            vector=(5 + spread * RANDOM.normal(size=32)).astype(np.float32),
        )
        for row in range(number)
    ]


def stack(photos: list[Observation]) -> np.ndarray:
    return np.stack([photo.vector for photo in photos])


def drifting(new: list[Observation]) -> dict[str, list[str]]:
    """The measures that drift, with the photos to look at."""
    training, tested = draw(100), draw(60)
    measures = compare_photos(new, stack(training), stack(tested), training, PARAMS)
    return {measure.name: measure.photos for measure in measures if measure.drift}


def test_photos_of_the_same_kind_are_no_drift():
    assert drifting(draw(80)) == {}


def test_photos_of_another_kind_are_found_and_named():
    new = draw(60)
    odd = [replace(photo, name=f"odd{row}") for row, photo in enumerate(draw(20, spread=4.0))]
    found = drifting([*new[:30], *odd, *new[30:]])
    assert list(found) == ["vectors"]
    assert all(name.startswith("odd") for name in found["vectors"])


def test_darker_photos_are_found_and_the_darkest_are_named_first():
    new = draw(60, brightness=0.3)
    found = drifting(new)
    assert list(found) == ["brightness"]
    darkest = min(new, key=lambda photo: photo.brightness)
    assert found["brightness"][0] == darkest.name


def test_a_size_within_the_tolerance_is_no_drift():
    assert drifting([replace(photo, width=340) for photo in draw(80)]) == {}
    assert list(drifting([replace(photo, width=640, height=480) for photo in draw(80)])) == ["size"]


def test_a_p_value_is_as_small_as_it_says_among_equals():
    random = np.random.default_rng(1)
    pvalues = [permutation_pvalue(*np.split(random.exponential(size=40), 2)) for _ in range(60)]
    assert 0.3 < np.mean(pvalues) < 0.7
    assert np.mean(np.array(pvalues) < 0.1) < 0.25
    assert permutation_pvalue(np.arange(20) + 100.0, np.arange(20) * 1.0) < 1e-4


def test_few_accounts_of_52_looks_have_a_false_alarm():
    accounts, alarms = (20, 3) if THOROUGH else (8, 2)
    assert count_false_alarms(PARAMS, accounts, seed=0) <= alarms


@pytest.mark.parametrize("looks", [2, 3])
def test_a_look_is_counted_once_and_a_spent_account_begins_anew(tmp_path, looks):
    photos = draw(12)
    numbers = [record_look(tmp_path, photos[: 10 + k], [], looks) for k in (0, 0, 1, 2, 2)]
    assert numbers == [1, 1, 2, 2 % looks + 1, 2 % looks + 1]


def test_the_same_photo_sent_again_counts_once():
    photos = draw(5)
    again = [replace(photo, name=f"again{row}") for row, photo in enumerate(photos)]
    assert without_repeats([*photos, *again]) == photos
