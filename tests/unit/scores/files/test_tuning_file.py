"""finetune's summary.json says which model ships, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carbrand.scores.files.tuning_file import read_tuning, which_ships
from tests.support.made_up_run import HANDED_ON, TUNED


def written(folder: Path, tuning: dict[str, object]) -> Path:
    file = folder / "summary.json"
    file.write_text(json.dumps(tuning), "utf-8")
    return file


@pytest.mark.parametrize(
    ("tuning", "settings", "sentence"),
    [
        (
            HANDED_ON,
            {"epochs": 0, "min_photos": 100},
            "The frozen backbone's head ships: fine-tuning is off (finetune.epochs: 0).",
        ),
        (
            HANDED_ON,
            {"epochs": 8, "min_photos": 100},
            "The frozen backbone's head ships: 64 training photos are too few "
            "(finetune.min_photos: 100).",
        ),
        (
            TUNED,
            {"epochs": 4},
            "The tuned network ships: it named 57 of 60 held-out photos correctly, the frozen one "
            "52 (log loss 0.188 and 0.432).",
        ),
        (
            TUNED | {"tuned": {"accuracy": 0.85, "log_loss": 0.5}},
            {"epochs": 4, "ship": "tuned"},
            "The tuned network ships (finetune.ship: tuned): it named 51 of 60 held-out photos "
            "correctly, the frozen one 52 (log loss 0.500 and 0.432).",
        ),
        (
            TUNED | {"ships_tuned": 0, "tuned": {"accuracy": 0.85, "log_loss": 0.5}},
            {"epochs": 4},
            "The frozen one ships: it named 52 of 60 held-out photos correctly, the tuned one 51 "
            "(log loss 0.432 and 0.500).",
        ),
    ],
)
def test_it_says_which_model_ships_and_why(tuning, settings, sentence, tmp_path):
    assert which_ships(read_tuning(written(tmp_path, tuning)), settings) == sentence


@pytest.mark.parametrize("name", ["photos", "epochs", "ships_tuned", "asked", "frozen", "val_loss"])
def test_a_summary_that_lacks_a_number_is_no_summary(name, tmp_path):
    with pytest.raises(KeyError, match=name):
        read_tuning(written(tmp_path, {k: value for k, value in TUNED.items() if k != name}))
