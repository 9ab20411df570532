"""Models by name: tags in Git say which, DVC has the file."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from carbrand import load
from carbrand.node.errors import UserError
from carbrand.release.registry.find import find_model, in_stage
from carbrand.scores.evaluation import PredictedPhoto, make_predicted
from tests.conftest import edit_params, git, relock, rewrite_results, run
from tests.support.copies import copy_made

MODEL = "artifacts/finetune/model.h5"


@pytest.fixture
def _no_git_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has told Git who they are."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)


@pytest.fixture
def project(finished: Path, _no_git_config: None) -> Path:
    """A project that ran, whose gate asks nothing."""
    edit_params(finished, gate__margin=0.5, gate__min_support=1, gate__floor=0.0)
    git(finished, "commit", "-qam", "gate")
    return finished


@pytest.fixture(scope="module")
def _promoted(_finished: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    def make(project: Path) -> None:
        copy_made(_finished, project)
        edit_params(project, gate__margin=0.5, gate__min_support=1, gate__floor=0.0)
        git(project, "commit", "-qam", "gate")
        done = carbrand(project, "promote")
        assert done.returncode == 0, done.stderr

    return made_once("promoted", make)


@pytest.fixture
def promoted(_promoted: Path, tmp_path: Path, _no_git_config: None) -> Path:
    """The same, after its model was put into use."""
    return copy_made(_promoted, tmp_path / "project")


def carbrand(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "carbrand.cli", *arguments], project)


def tags(project: Path) -> list[str]:
    return git(project, "tag").split()


def change_model(project: Path) -> None:
    """Commit a model of other bytes, which says the same."""
    with (project / MODEL).open("ab") as file:
        file.write(b"other bytes")
    relock(project, MODEL)
    git(project, "commit", "-qam", "another model")


def change_predictions(project: Path, wrong: int) -> None:
    """Commit predictions of a model that is wrong about so many test photos."""

    def mistake(photo: PredictedPhoto) -> PredictedPhoto:
        brands = ("asta", "bolt", "cirro")
        named = next(brand for brand in brands if brand != photo.actual)
        shares = [0.8 if brand == named else 0.1 for brand in brands]
        return make_predicted(photo.path, photo.actual, photo.leaked, shares, brands)

    rewrite_results(project, lambda photos: [*map(mistake, photos[:wrong]), *photos[wrong:]])
    git(project, "commit", "-qam", f"{wrong} wrong")


def test_a_promoted_model_is_found_by_stage_by_version_and_by_revision_and_predicts(promoted: Path):
    assert tags(promoted) == ["model#prod#1", "model@v0.0.1"]
    wanted = (promoted / MODEL).read_bytes()
    (promoted / MODEL).unlink()
    for name in ("model@prod", "model@v0.0.1", "HEAD", "main", "model@v0.0.1^{commit}"):
        shutil.rmtree(promoted / ".dvc" / "tmp" / "models", ignore_errors=True)
        assert find_model(name, promoted, MODEL).read_bytes() == wanted
    predicted = carbrand(
        promoted, "predict", "--model", "model@prod", "--top", "1", "Datasets/test/asta/000.png"
    )
    assert predicted.stdout.startswith("Datasets/test/asta/000.png: asta "), predicted.stderr


def test_a_file_is_a_file_whatever_it_is_called(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project)
    shutil.copy(MODEL, "HEAD")
    assert find_model("HEAD", project, MODEL) == Path("HEAD")
    assert find_model("nowhere/model.h5", project, MODEL) == Path("nowhere/model.h5")


@pytest.mark.parametrize(
    "name", ["model@prod", "other@prod", "model@v9.9.9", "nothing", "-h", "a b@c d", "model@"]
)
def test_a_name_that_says_no_model_is_told_in_one_line(project: Path, name: str):
    with pytest.raises(UserError, match=r"is not a file, a revision, or NAME@STAGE") as told:
        find_model(name, project, MODEL)
    assert len(told.value.problems) == 1


def test_a_model_that_is_in_no_cache_and_on_no_remote_is_told_in_one_line(project: Path):
    shutil.rmtree(project / ".dvc" / "cache")
    with pytest.raises(
        UserError, match=r"The model of HEAD \(\w{12}\) could not be fetched"
    ) as told:
        find_model("HEAD", project, MODEL)
    assert "\n" not in str(told.value)
    assert not list((project / ".dvc" / "tmp" / "models").iterdir())


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [(False, "Unable to locate credentials"), (True, "Could not connect to the endpoint URL")],
)
def test_storage_that_is_out_of_reach_is_told_in_one_line(
    project: Path, tmp_path: Path, credentials: bool, reason: str
):
    shutil.rmtree(project / ".dvc" / "cache")
    (tmp_path / "aws").write_text("[default]\n", "utf-8")
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws"),
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
        "AWS_PROFILE": "default",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    if credentials:
        environment |= {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        config = project / ".dvc" / "config"
        first = config.read_text("utf-8").replace("[core]\n", "[core]\n    remote = store\n")
        store = f"url = s3://bucket/path\n    endpointurl = {address}"
        config.write_text(f"{first}['remote \"store\"']\n    {store}\n", "utf-8")
        git(project, "commit", "-qam", "store")
        photo = "Datasets/test/asta/000.png"
        command = [sys.executable, "-m", "carbrand.cli", "predict", "--model", "HEAD", photo]
        done = run(command, project, environment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: The model of HEAD (")
    assert reason in line
    assert not list((project / ".dvc" / "tmp" / "models").iterdir())


def test_promoting_again_changes_nothing(promoted: Path):
    before = git(promoted, "show-ref")
    again = carbrand(promoted, "promote")
    assert again.returncode == 0
    assert "was already in prod" in again.stdout
    assert git(promoted, "show-ref") == before


def test_a_model_no_worse_replaces_the_one_in_use_as_the_next_version(promoted: Path):
    change_model(promoted)
    done = carbrand(promoted, "promote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model v0.0.2 is now in prod" in done.stdout
    head = git(promoted, "rev-parse", "HEAD").strip()
    assert git(promoted, "rev-parse", "model@v0.0.2^{commit}").strip() == head
    assert in_stage(promoted, "model", "prod") == head


def test_a_commit_with_the_model_that_is_in_use_is_no_new_version(promoted: Path):
    git(promoted, "commit", "-q", "--allow-empty", "-m", "documents")
    done = carbrand(promoted, "promote")
    assert done.returncode == 0
    assert "was already in prod" in done.stdout
    assert tags(promoted) == ["model#prod#1", "model@v0.0.1"]


def test_a_worse_model_is_not_promoted_whatever_is_accepted(promoted: Path):
    change_predictions(promoted, wrong=9)
    change_model(promoted)
    before = git(promoted, "show-ref", "--tags")
    for options in ((), ("--accept",)):
        done = carbrand(promoted, "promote", *options)
        assert done.returncode == 1
        assert done.stdout.startswith("reject")
    assert git(promoted, "show-ref", "--tags") == before


def test_what_the_test_photos_cannot_tell_is_promoted_only_when_a_person_accepts_it(project: Path):
    edit_params(project, gate__margin=0.01)
    git(project, "commit", "-qam", "stricter")
    assert carbrand(project, "promote").returncode == 0
    change_model(project)
    done = carbrand(project, "promote")
    assert done.returncode == 3
    assert tags(project) == ["model#prod#1", "model@v0.0.1"]
    assert carbrand(project, "promote", "--accept").returncode == 0
    assert "model@v0.0.2" in tags(project)


def test_only_what_is_committed_is_promoted(project: Path):
    (project / "artifacts" / "evaluate" / "metrics.json").write_text("{}", "utf-8")
    done = carbrand(project, "promote")
    assert done.returncode == 2
    assert "artifacts/evaluate/metrics.json has uncommitted changes" in done.stderr
    assert tags(project) == []


@pytest.mark.parametrize("lock", [None, "schema: '2.0'\nstages: {}\n"])
def test_a_commit_that_names_no_model_gets_no_tags(project: Path, lock: str | None):
    if lock is None:
        git(project, "rm", "-q", "dvc.lock")
    else:
        (project / "dvc.lock").write_text(lock, "utf-8")
    git(project, "commit", "-qam", "no model")
    done = carbrand(project, "promote")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"has no {MODEL}" in line
    assert "`make repro`" in line
    assert tags(project) == []


def test_tags_are_pushed_also_those_of_a_run_that_did_not_get_so_far(
    promoted: Path, tmp_path: Path
):
    done = carbrand(promoted, "promote", "--push")
    assert done.returncode == 2
    assert "git remote add" in done.stderr
    git(tmp_path, "init", "-q", "--bare", "origin")
    git(promoted, "remote", "add", "origin", str(tmp_path / "origin"))
    git(promoted, "tag", "unrelated")
    assert carbrand(promoted, "promote", "--push").returncode == 0
    assert tags(tmp_path / "origin") == ["model#prod#1", "model@v0.0.1"]


def test_a_program_loads_a_model_by_its_name(promoted, monkeypatch):
    photo = "Datasets/test/asta/000.png"
    said = carbrand(promoted, "predict", "--json", "--model", "model@prod", photo)
    (record,) = json.loads(said.stdout)
    (promoted / MODEL).unlink()
    monkeypatch.chdir(promoted)
    for name in ("model@prod", "model@v0.0.1", "main"):
        result = load(name).predict(photo)
        assert result.probabilities == record["probabilities"]
        assert result.unknown_score == record["unknown_score"]
    monkeypatch.chdir(promoted.parent)
    assert load("model@prod", promoted).predict(promoted / photo).brand == record["brand"]
