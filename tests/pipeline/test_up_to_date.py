"""Results are compared only while they are those of the params, photos and code beside them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock
from carbrand.pipeline.status import check_up_to_date
from carbrand.release.gate.gate_params import GateFiles
from carbrand.release.gate.revision import check_results, find_revision
from tests.conftest import draw_photo, edit_params, git, run
from tests.support.toy import MODEL

HISTORY = "artifacts/fit/history.csv"


def append(path: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        with (project / path).open("a", encoding="utf-8") as file:
            file.write("\n")

    return change


def freeze(project: Path) -> None:
    edit_params(project, fit__l2=0.5)
    file = project / "dvc.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("\n  fit:\n", "\n  fit:\n    frozen: true\n"), "utf-8")


def run_otherwise(project: Path) -> None:
    file = project / "dvc.yaml"
    file.write_text(file.read_text("utf-8").replace("-m stages.fit", "-X dev -m stages.fit"))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "param": (lambda p: edit_params(p, fit__l2=0.5), "params.yaml: fit.l2"),
    "photo gone": (lambda p: (p / "Datasets/test/asta/000.png").unlink(), "Datasets/test"),
    "photos gone": (lambda p: shutil.rmtree(p / "Datasets/test"), "Datasets/test"),
    "photo new": (
        lambda p: draw_photo((9, 9, 9), 5).save(p / "Datasets/train/asta/new.png"),
        "Datasets/train",
    ),
    "code": (append("stages/fit.py"), "stages/fit.py"),
    "command": (run_otherwise, "dvc.yaml"),
    "artifact": (append(HISTORY), HISTORY),
    "frozen": (freeze, "dvc.yaml freezes fit: DVC looks for no change there"),
}


def problem_of(project: Path) -> str:
    with pytest.raises(UserError) as caught:
        check_up_to_date(project)
    (problem,) = caught.value.problems
    assert "\n" not in problem
    return problem


def test_what_changed_since_the_run_is_named_until_it_is_put_back(toy: Path):
    for change, name in CHANGES.values():
        change(toy)
        problem = problem_of(toy)
        assert f": {name}" in f": {problem}".replace(", ", ": ")
        assert "`make repro`" in problem
        git(toy, "checkout", "-q", ".")
        git(toy, "clean", "-qfd", "Datasets")
    check_up_to_date(toy)


@pytest.mark.parametrize("lock", [None, "schema: '2.0'\nstages: {}\n", "<<<<<<< a\n"])
def test_without_a_dvc_lock_nobody_knows_of_what_the_results_are(toy: Path, lock: str | None):
    (toy / "dvc.lock").unlink()
    if lock is not None:
        (toy / "dvc.lock").write_text(lock, "utf-8")
    assert problem_of(toy).startswith("dvc.lock ")


def test_a_clone_needs_neither_artifacts_of_dvc_nor_photos_that_it_keeps_as_they_were(
    toy: Path,
):
    shutil.rmtree(toy / ".dvc" / "cache")
    shutil.rmtree(toy / "artifacts" / "show")
    (toy / MODEL).unlink()
    check_up_to_date(toy)
    nodes = yaml.safe_load((toy / "dvc.lock").read_text("utf-8"))["stages"]
    (seen,) = (dep for dep in nodes["collect"]["deps"] if dep["path"] == "Datasets/test")
    shutil.rmtree(toy / "Datasets" / "test")
    kept = toy / "Datasets" / "test.dvc"
    for md5, right in ((seen["md5"], True), ("0" * 32 + ".dir", False)):
        kept.write_text(json.dumps({"outs": [{"path": "test", "hash": "md5", "md5": md5}]}))
        if right:
            check_up_to_date(toy)
        else:
            assert "Datasets/test" in problem_of(toy)


def test_a_run_that_ended_between_two_nodes_shows_in_dvc_lock():
    def lock(read: str) -> DvcLock:
        return DvcLock(
            {
                "train": {"outs": [{"path": "model", "md5": "new"}]},
                "evaluate": {"deps": [{"path": "model", "md5": read}, {"path": "x", "md5": "y"}]},
            }
        )

    assert lock("new").inconsistent_paths() == []
    assert lock("old").inconsistent_paths() == ["model"]


def test_gate_and_promote_judge_nothing_that_is_stale_and_forgive_it_to_nobody(finished: Path):
    edit_params(finished, train__l2=0.5)
    git(finished, "commit", "-qam", "a parameter without its run")
    for command in (("gate", "--against", "HEAD~1", "--markdown", "--exit-zero"), ("promote",)):
        done = run([sys.executable, "-m", "carbrand.cli", *command], finished)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert "params.yaml: train.l2" in line
        assert "`make repro`" in line
    assert git(finished, "tag") == ""


# --- a commit


def check(project: Path, params: bool = True) -> None:
    check_results(project, find_revision(project, "HEAD"), GateFiles(), params)


def test_a_commit_whose_params_are_not_those_of_its_run_is_not_compared_with(finished: Path):
    check(finished)
    edit_params(finished, plot__dpi=60, gate__margin=0.1)  # no figure is compared
    git(finished, "commit", "-qam", "figures")
    check(finished)
    edit_params(finished, train__l2=0.5)
    git(finished, "commit", "-qam", "a parameter without its run")
    with pytest.raises(UserError, match=r"in HEAD \(\w+\) are not .*: params\.yaml: train\.l2 "):
        check(finished)
    check(finished, params=False)
    (finished / "params.yaml").write_text("<<<<<<< a\n")
    git(finished, "commit", "-qam", "a conflict")
    with pytest.raises(UserError, match=r"^params\.yaml in HEAD \(\w+\) cannot be parsed"):
        check(finished)


def test_a_commit_of_half_a_run_is_not_compared_with(finished: Path):
    lock = finished / "dvc.lock"
    content = yaml.safe_load(lock.read_text("utf-8"))
    for out in content["stages"]["train"]["outs"]:
        out["md5"] = "0" * 32
    lock.write_text(yaml.safe_dump(content), "utf-8")
    git(finished, "commit", "-qam", "half a run")
    with pytest.raises(UserError, match=r"artifacts/train/model\.h5 changed after the run"):
        check(finished, params=False)
    lock.unlink()
    git(finished, "commit", "-qam", "no dvc.lock")
    check(finished)
