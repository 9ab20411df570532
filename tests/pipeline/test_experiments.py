"""`make experiments` shows what settings gave on held-out photos, and nothing of test photos."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from carbrand.commands import experiments
from carbrand.commands.experiments import WIDTH, read_baselines, table
from carbrand.node.errors import UserError
from tests.conftest import ROOT, edit_params, git, run
from tests.support.made_up_run import TUNED

COMMIT: dict[str, Any] = {"train": {"l2": 0.1, "folds": 5}, "features": {"views": 4}}


def data(accuracy: float, loss: float, params: dict[str, Any]) -> dict[str, Any]:
    """What DVC says of a state."""
    summary = {"val_accuracy": accuracy, "val_loss": 9.9, "log_loss": loss}
    test = {"accuracy": 0.123}
    return {
        "params": {"params.yaml": {"data": params}},
        "metrics": {
            "artifacts/train/summary.json": {"data": summary},
            "artifacts/evaluate/metrics.json": {"data": test},
        },
    }


def experiment(name: str, state: str | None, found: dict[str, Any] | None) -> dict[str, Any]:
    executor = {"state": state, "name": "dvc-task"} if state else None
    return {
        "name": name,
        "executor": executor,
        "revs": [{"rev": "abcdef0123", "name": name, "data": found}],
    }


def lines(*found: dict[str, Any]) -> list[str]:
    commit = {"rev": "0" * 40, "name": "main", "data": data(0.9, 0.3, COMMIT)}
    workspace = {"rev": "workspace", "name": None, "data": data(0.5, 0.5, {}), "experiments": None}
    shown: list[dict[str, Any]] = [workspace, commit | {"experiments": list(found) or None}]
    return list(table(read_baselines(shown)))


def train(**changed: Any) -> dict[str, Any]:
    return COMMIT | {"train": COMMIT["train"] | changed}


def test_of_a_tuned_network_that_ships_its_own_held_out_photos_count():
    ships, stays = (data(0.8, 0.4, COMMIT) for _ in range(2))
    ships["metrics"]["artifacts/finetune/summary.json"] = {"data": TUNED}
    stays["metrics"]["artifacts/finetune/summary.json"] = {"data": TUNED | {"ships_tuned": 0}}
    _, _, *rows = lines(experiment("ships", None, ships), experiment("stays", None, stays))
    assert [row.split()[:4] for row in rows] == [
        ["ships", "95.0", "%", "0.188"],
        ["stays", "80.0", "%", "0.400"],
    ]


def test_the_range_over_foldings_stands_beside_the_accuracy():
    found = data(0.948, 0.2, COMMIT)
    summary = found["metrics"]["artifacts/train/summary.json"]["data"]
    summary |= {"val_accuracy_lowest": 0.917, "val_accuracy_highest": 0.948}
    *_, row = lines(experiment("it", None, found))
    assert row.split() == ["it", "94.8", "%", "(91.7–94.8)", "0.200", "none"]


def test_the_best_on_held_out_photos_comes_first_with_what_it_changed():
    head, commit, *rows = lines(
        experiment("same", None, data(0.9, 0.3, COMMIT)),
        experiment("worse", "success", data(0.8, 0.1, train(l2=0.2, folds=3))),
        experiment("surer", None, data(0.9, 0.2, train(l2=1e-05))),
        experiment("", None, data(0.95, 0.4, COMMIT | {"features": {"views": 4, "flip": True}})),
    )
    assert head.split() == ["experiment", "held-out", "accuracy", "loss", "changed", "parameters"]
    assert commit.split() == ["main", "90.0", "%", "0.300", "(the", "commit)"]
    assert [row.split() for row in rows] == [
        ["abcdef0", "95.0", "%", "0.400", "features.flip=true"],
        ["surer", "90.0", "%", "0.200", "train.l2=1e-05"],
        ["same", "90.0", "%", "0.300", "none"],
        ["worse", "80.0", "%", "0.100", "train.folds=3", "train.l2=0.2"],
    ]


@pytest.mark.parametrize("state", ["queued", "running", "failed"])
def test_what_has_not_ended_well_has_no_numbers(state):
    """DVC shows those of the folder in which it runs, which are of another run."""
    *_, first, last = lines(
        experiment("new", state, data(1.0, 0.0, train(l2=0.2))),
        experiment("old", "success", data(0.1, 0.9, COMMIT)),
    )
    assert first.startswith("old ")
    assert last.split() == ["new", state, "train.l2=0.2"]


def test_what_dvc_cannot_read_is_no_result_and_no_mistake():
    *_, row = lines(experiment("gone", None, None))
    assert row.split() == ["gone", "no", "result", "(unknown)"]
    *_, row = lines({"name": "none", "executor": {"state": "failed"}, "revs": None})
    assert row.split() == ["none", "failed", "(unknown)"]
    broken = {"artifacts/train/summary.json": {"error": {"msg": "no JSON"}}}
    *_, row = lines(experiment("odd", None, data(1, 1, COMMIT) | {"metrics": broken}))
    assert row.split() == ["odd", "no", "result", "none"]


def test_many_changes_and_long_names_stay_within_the_width():
    params = {f"key_{number}": "a value of words" for number in range(30)}
    rows = lines(experiment("a-very-long-name-of-an-experiment" * 3, None, data(1, 0, params)))
    assert max(map(len, rows)) <= WIDTH
    assert " ".join(" ".join(rows).split()).count("=a value of words") == 30


def test_experiments_of_dvc_are_listed(finished):
    edit_params(finished, train__l2=0.02)
    assert run([sys.executable, "-m", "dvc", "exp", "save", "-n", "mine"], finished).returncode == 0
    queue = ["dvc", "exp", "run", "--queue", "-n", "later", "-S", "train.epochs=6"]
    assert run(queue, finished).returncode == 0
    result = run([sys.executable, "-m", "carbrand.commands.experiments"], finished)
    assert (result.returncode, result.stderr) == (0, "")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1][0] == "main"
    assert rows[2][:5] == ["mine", *rows[1][1:5]]
    assert rows[2][-1] == "train.l2=0.02"
    assert rows[3] == ["later", "queued", "train.epochs=6", "train.l2=0.02"]


def test_without_experiments_it_says_how_to_make_one(finished, tmp_path):
    """As in a fresh clone, which has none of its origin's."""
    git(tmp_path, "clone", "-q", str(finished), "clone")
    result = run([sys.executable, "-m", "carbrand.commands.experiments"], tmp_path / "clone")
    assert result.returncode == 0, result.stderr
    assert "main" in result.stdout
    assert "`dvc exp run -S train.l2=0.01` makes one" in result.stdout


@pytest.mark.parametrize("git_there", [False, True])
def test_without_a_commit_it_is_a_line(git_there, tmp_path, monkeypatch):
    if git_there:
        git(tmp_path, "init", "-q")
    assert (
        run(["dvc", "init", "-q", *([] if git_there else ["--no-scm"])], tmp_path).returncode == 0
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="commit") as caught:
        experiments.main([])
    assert len(caught.value.problems) == 1


def test_the_readme_says_by_what_one_chooses():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "make experiments" in readme
    assert "Choose by these two, never by the accuracy on test photos" in readme
    assert (ROOT / "Makefile").read_text("utf-8").count("carbrand.commands.experiments") == 1
