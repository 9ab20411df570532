"""The file of a sweep gives the trials that it describes, each once, or says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from carbrand.node.errors import UserError
from carbrand.release.sweep.spec import name_of, read_trials

PARAMS = {"train": {"l2": 0.1, "folds": 5}, "features": {"views": 4}, "plot": {"dpi": 100}}


def trials(folder: Path, **spec: Any) -> list[Any]:
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS), "utf-8")
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), "utf-8")
    return read_trials(folder / "spec.yaml", folder / "params.yaml")


def test_a_grid_is_every_combination(tmp_path):
    grid = {"train.l2": [0.1, 1], "features.views": [1, 2, 3]}
    found = trials(tmp_path, grid=grid)
    assert [(trial["train.l2"], trial["features.views"]) for trial in found] == [
        (l2, views) for l2 in (0.1, 1) for views in (1, 2, 3)
    ]


def test_what_is_listed_comes_as_it_is_and_the_same_settings_come_once(tmp_path):
    listed = [{"train.folds": 3}, {"train.l2": 1, "train.folds": 4}, {"train.folds": 3}]
    assert trials(tmp_path, list=listed, grid={"train.folds": [3]}) == [listed[0], listed[1]]


def test_draws_stay_in_their_range_and_are_the_same_for_a_seed(tmp_path):
    params = {
        "train.l2": {"low": 0.001, "high": 1.0, "log": True},
        "train.folds": {"low": 2, "high": 9},
        "features.views": [1, 8],
    }
    drawn = {"count": 200, "params": params}
    found = trials(tmp_path, random=drawn)
    assert found == trials(tmp_path, random=drawn)
    assert found != trials(tmp_path, random=drawn | {"seed": 1})
    l2 = [trial["train.l2"] for trial in found]
    assert all(0.001 <= value <= 1.0 for value in l2)
    below = sum(value < 0.03162 for value in l2)  # half of them, on a logarithmic scale
    assert 70 <= below <= 130
    assert {trial["train.folds"] for trial in found} == set(range(2, 10))
    assert {trial["features.views"] for trial in found} == {1, 8}


def test_a_name_is_that_of_the_settings_in_any_order():
    assert name_of("a", {"x": 1, "y": 2}) == name_of("a", {"y": 2, "x": 1})
    assert name_of("a", {"x": 1}) != name_of("a", {"x": 1.5})
    assert name_of("a", {"x": 1}).startswith("a-")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, "must have some of the keys grid, random and list"),
        ({"gird": {}}, "must have some of the keys"),
        ({"grid": {"train.l": [1]}}, "train.l cannot be tried; did you mean train.l2?"),
        ({"grid": {"plot.dpi": [1]}}, "plot.dpi cannot be tried"),
        ({"grid": {"train.l2": 1}}, "train.l2 must be a list of values, got 1"),
        ({"grid": {"train.l2": []}}, "train.l2 must be a list of values"),
        ({"grid": [1]}, "grid must hold parameters with their values"),
        ({"grid": {"train.l2": list(range(101)), "train.folds": list(range(100))}}, "10100 comb"),
        ({"list": {"train.l2": 1}}, "list must hold one mapping"),
        ({"list": [{"train.x": 1}]}, "train.x cannot be tried"),
        ({"random": {"params": {}}}, "random needs count and params"),
        ({"random": 3}, "random needs count and params"),
        ({"random": {"count": True, "params": {}}}, "random.count must be a whole number from 1"),
        ({"random": {"count": 1, "seed": -1, "params": {}}}, "random.seed must be a whole number"),
        (
            {"random": {"count": 1, "params": {"train.l2": {"low": 0, "high": 1, "log": True}}}},
            "low is above 0",
        ),
        ({"random": {"count": 1, "params": {"train.l2": {"low": 2, "high": 1}}}}, "low < high"),
        ({"random": {"count": 1, "params": {"train.l2": {"low": ".", "high": 1}}}}, "numbers"),
    ],
)
def test_what_is_wrong_is_a_line(spec, problem, tmp_path):
    with pytest.raises(UserError, match=r"spec\.yaml: ") as raised:
        trials(tmp_path, **spec)
    assert problem in str(raised.value)
