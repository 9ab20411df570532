"""Two branches are compared with DVC's own commands, without a remote."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from carbrand.release.registry.find import find_model
from tests.conftest import edit_params, git, run
from tests.support.toy import MODEL


def dvc(project: Path, *arguments: str) -> str:
    result = run([sys.executable, "-m", "dvc", *arguments], project)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def two_branches(_penalty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`main`, and a branch on which one parameter is another and the pipeline ran.

    As in a fresh clone: what is in DVC's cache is not needed to compare.
    """
    project = tmp_path_factory.mktemp("branches") / "project"
    git(_penalty, "clone", "-q", str(_penalty), str(project))
    git(project, "branch", "-q", "main", "origin/main")
    return project


def test_metrics_diff_shows_the_change(two_branches):
    diff = json.loads(dvc(two_branches, "metrics", "diff", "main", "penalty", "--json"))
    change = diff["artifacts/evaluate/metrics.json"]["log_loss"]
    assert change["diff"] != 0
    assert change["new"] > change["old"]
    assert "artifacts/train/summary.json" in diff


def test_metrics_are_readable_from_any_branch(two_branches):
    shown = json.loads(dvc(two_branches, "metrics", "show", "--all-branches", "--json"))
    for branch in ("main", "penalty"):
        values = shown[branch]["data"]["artifacts/evaluate/metrics.json"]["data"]
        assert {"accuracy", "accuracy_low", "accuracy_high", "images"} <= set(values)


def test_params_diff_shows_the_change_and_nothing_else(two_branches):
    diff = json.loads(dvc(two_branches, "params", "diff", "main", "penalty", "--json"))
    assert list(diff) == ["params.yaml"]
    assert list(diff["params.yaml"]) == ["train.l2"]
    change = diff["params.yaml"]["train.l2"]
    assert (change["old"], change["new"]) == (0.0003, 0.05)


@pytest.mark.parametrize("command", [["show"], ["diff", "main", "penalty"]])
def test_plots_render_with_numbers(two_branches, command, tmp_path):
    plots = json.loads(dvc(two_branches, "plots", *command, "--json", "-o", str(tmp_path)))
    assert not plots.get("errors")
    data = plots["data"]
    assert {"loss", "accuracy", "confusion_matrix", "f1_per_brand"} <= set(data)
    for name, rendered in data.items():
        if name == "artifacts/finetune/history.csv":  # nothing was tuned: a header alone
            assert not rendered
            continue
        (plot,) = rendered
        if command[0] == "diff":
            assert set(plot["revisions"]) == {"main", "penalty"}
        values = plot["content"]["data"]["values"]
        assert {value["rev"] for value in values} == set(plot["revisions"]), name
    f1 = data["f1_per_brand"][0]["content"]["data"]["values"]
    assert {value["brand"] for value in f1} == {"asta", "bolt", "cirro"}
    assert all(0 <= float(value["f1"]) <= 1 for value in f1)
    curves = data["loss"][0]["content"]["data"]["values"]
    assert {value["filename::field"] for value in curves} == {
        "train/history.csv::loss",
        "train/history.csv::val_loss",
    }


def test_an_experiment_runs_and_is_shown(toy):
    dvc(toy, "exp", "run", "-S", "show.width=60", "--name", "wider")
    shown = dvc(toy, "exp", "show", "--csv")
    header, *lines = shown.splitlines()
    assert "show.width" in header
    assert any("wider" in line and "60" in line for line in lines)
    # The comments of params.yaml are for the next reader: DVC keeps what it does not change.
    assert "width: 60" in (toy / "params.yaml").read_text()
    # Its name will do wherever a revision does.
    assert find_model("wider", toy, MODEL).read_bytes() == (toy / MODEL).read_bytes()


def test_the_gate_takes_the_name_of_an_experiment(finished):
    edit_params(finished, gate__margin=0.06)
    dvc(finished, "exp", "save", "-q", "-n", "laxer")
    gate = run([sys.executable, "-m", "carbrand.cli", "gate", "--against", "laxer"], finished)
    assert gate.returncode == 3, gate.stderr
