"""What made the artifacts can be found out, and does not show in their bits."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from carbrand.node.errors import UserError
from carbrand.pipeline import made_by
from tests.conftest import edit_params, git, run
from tests.support.running import NODES, bits
from tests.support.toy import MODEL


def told(project: Path) -> dict[str, Any]:
    done = run([sys.executable, "-m", "carbrand.pipeline.made_by"], project)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pipeline(project: Path, *arguments: str, **environment: str) -> None:
    done = run([sys.executable, "-m", "stages", *arguments], project, environment)
    assert done.returncode == 0, done.stderr


def test_each_node_that_ran_says_on_what_and_with_what(finished: Path) -> None:
    of = told(finished)
    assert set(of) == set(NODES)
    assert git(finished, "status", "--porcelain") == ""
    train = of["train"]
    assert "artifacts/train/model.h5" in train["artifacts"]
    assert train["versions"]["keras"] == version("keras")
    assert train["versions"]["python"] == platform.python_version()
    assert train["machine"] == platform.machine()
    assert train["instructions"]["numpy"]
    assert 1 <= train["cores"]["usable"] <= train["cores"]["there"]
    assert train["changed_since"] == []


def test_only_what_ran_is_told_anew_and_a_former_state_keeps_what_was_told_of_it(
    toy: Path,
) -> None:
    first = told(toy)
    commit = git(toy, "rev-parse", "HEAD").strip()
    settings = {"OMP_NUM_THREADS": "1", "TF_VAR_PASSWORD": "secret"}
    params = (toy / "params.yaml").read_bytes()
    edit_params(toy, show__width=60)
    pipeline(toy, **settings)
    second = told(toy)
    assert second["fit"] == first["fit"]
    assert second["show"]["environment"]["OMP_NUM_THREADS"] == "1"
    assert "secret" not in json.dumps(second)
    assert second["show"]["commit"] == commit
    assert second["show"]["changed_since"] == ["params.yaml"]
    (toy / "params.yaml").write_bytes(params)
    pipeline(toy, OMP_NUM_THREADS="2")  # out of DVC's cache: nothing was made
    assert told(toy) == first


def test_what_was_made_elsewhere_is_not_told_of_this_machine(toy: Path) -> None:
    """As after `dvc pull`, or in a clone of somebody else's results."""
    shutil.rmtree(toy / made_by.FOLDER)
    pipeline(toy)
    (toy / MODEL).unlink()
    pipeline(toy)
    assert set(told(toy).values()) == {None}


def test_of_a_node_that_failed_nothing_is_told(toy: Path) -> None:
    before = told(toy)
    module = toy / "stages" / "fit.py"
    code, start = module.read_text("utf-8"), 'if __name__ == "__main__":\n'
    assert start in code
    module.write_text(code.replace(start, f'{start}    raise SystemExit("out of luck")\n'), "utf-8")
    edit_params(toy, collect__bins=8)
    done = run([sys.executable, "-m", "stages"], toy)
    assert "out of luck" in done.stderr
    after = told(toy)
    assert after["collect"]["when"] >= before["collect"]["when"]
    assert after["collect"]["artifacts"] != before["collect"]["artifacts"]
    assert after["fit"] == before["fit"]


def test_a_run_that_cannot_tell_is_a_run_all_the_same(toy: Path) -> None:
    before = bits(toy)
    shutil.rmtree(toy / made_by.FOLDER)
    (toy / made_by.FOLDER).write_text("a file in its place\n", "utf-8")
    done = run([sys.executable, "-m", "stages", "--force", "--single-item", "show"], toy)
    assert done.returncode == 0
    assert "note: what made the artifacts could not be written down" in done.stderr
    assert bits(toy) == before


def test_without_artifacts_there_is_nothing_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="make repro"):
        made_by.main()
