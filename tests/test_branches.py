"""Two branches are compared with DVC's own commands, without a remote."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import edit_params, git, run


def dvc(project: Path, *arguments: str) -> str:
    result = run([sys.executable, "-m", "dvc", *arguments], project)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def two_branches(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`main`, and a branch on which one parameter is another and the pipeline ran."""
    project = tmp_path_factory.mktemp("branches") / "project"
    run(["cp", "-r", str(_finished), str(project)], _finished)
    git(project, "checkout", "-qb", "stricter")
    edit_params(project, train__l2=1.0)
    assert run([sys.executable, "-m", "stages"], project).returncode == 0
    git(project, "commit", "-qam", "stricter")
    # As in a fresh clone: what is in DVC's cache is not needed to compare.
    run(["rm", "-rf", ".dvc/cache", "artifacts/train/model.h5", "artifacts/plot"], project)
    return project


def test_metrics_diff_shows_the_change(two_branches):
    diff = json.loads(dvc(two_branches, "metrics", "diff", "main", "stricter", "--json"))
    change = diff["artifacts/evaluate/metrics.json"]["log_loss"]
    assert change["diff"] != 0
    assert change["new"] > change["old"]
    assert "artifacts/train/summary.json" in diff


def test_metrics_are_readable_from_any_branch(two_branches):
    shown = json.loads(dvc(two_branches, "metrics", "show", "--all-branches", "--json"))
    for branch in ("main", "stricter"):
        values = shown[branch]["data"]["artifacts/evaluate/metrics.json"]["data"]
        assert {"accuracy", "accuracy_low", "accuracy_high", "images"} <= set(values)


def test_params_diff_shows_the_change_and_nothing_else(two_branches):
    diff = json.loads(dvc(two_branches, "params", "diff", "main", "stricter", "--json"))
    assert list(diff) == ["params.yaml"]
    assert list(diff["params.yaml"]) == ["train.l2"]
    change = diff["params.yaml"]["train.l2"]
    assert (change["old"], change["new"]) == (0.0003, 1.0)


@pytest.mark.parametrize("command", [["show"], ["diff", "main", "stricter"]])
def test_plots_render_with_numbers(two_branches, command, tmp_path):
    plots = json.loads(dvc(two_branches, "plots", *command, "--json", "-o", str(tmp_path)))
    assert not plots.get("errors")
    data = plots["data"]
    assert {"loss", "accuracy", "confusion_matrix", "f1_per_brand"} <= set(data)
    for name, rendered in data.items():
        (plot,) = rendered
        if command[0] == "diff":
            assert set(plot["revisions"]) == {"main", "stricter"}
        values = plot["content"]["data"]["values"]
        assert {value["rev"] for value in values} == set(plot["revisions"]), name
    f1 = data["f1_per_brand"][0]["content"]["data"]["values"]
    assert {value["brand"] for value in f1} == {"asta", "bolt", "cirro"}
    assert all(0 <= float(value["f1"]) <= 1 for value in f1)
    curves = data["loss"][0]["content"]["data"]["values"]
    assert {value["field"] for value in curves} == {"loss", "val_loss"}


def test_an_experiment_runs_and_is_shown(finished):
    dvc(finished, "exp", "run", "-S", "train.l2=0.02", "--name", "looser")
    shown = dvc(finished, "exp", "show", "--csv")
    header, *lines = shown.splitlines()
    assert "train.l2" in header
    assert any("looser" in line and "0.02" in line for line in lines)
    # The comments of params.yaml are for the next reader: DVC keeps what it does not change.
    assert "0.02" in (finished / "params.yaml").read_text()
