"""The settings of fine-tuning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.training.finetuning.small import PARAMS


@pytest.mark.parametrize(
    ("photos", "epochs"),
    [(1, 40), (8, 40), (9, 20), (80, 4), (81, 4), (107, 3), (10_000, 3)],
)
def test_few_photos_have_more_epochs(photos, epochs):
    params = replace(PARAMS, epochs=3, batch_size=8, min_steps=40)
    enough = params.with_enough_steps(photos)
    assert enough.epochs == epochs
    assert enough.epochs * enough.steps(photos) >= 40


def test_no_least_number_of_steps_leaves_the_epochs():
    assert replace(PARAMS, min_steps=0).with_enough_steps(1) == replace(PARAMS, min_steps=0)
