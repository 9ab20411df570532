"""A project below the root of its Git repository: everything that asks Git works there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from carbrand.release.registry.find import find_model
from tests.conftest import edit_params, git, run
from tests.support.running import in_torture

MODEL = "artifacts/finetune/model.h5"
PHOTO = "Datasets/test/asta/000.png"


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that ran, in `ml/cars` of a repository in which others work too."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    shutil.rmtree(finished / ".git")
    root = tmp_path / "mono"
    (root / "ml").mkdir(parents=True)
    (root / "README").write_text("shop, site and models\n", "utf-8")
    folder = Path(shutil.move(finished, root / "ml" / "cars"))
    edit_params(folder, gate__margin=0.5, gate__min_support=1, gate__floor=0.0)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(folder, "add", "-f", "weights")
    git(root, "commit", "-qm", "everything")
    return folder


def carbrand(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "carbrand.cli", *arguments], folder, env)


def test_a_model_is_found_by_revision_and_the_gate_compares_with_one(project: Path):
    wanted = (project / MODEL).read_bytes()
    (project / MODEL).unlink()
    for name in ("HEAD", "main"):
        assert find_model(name, project, MODEL).read_bytes() == wanted
    git(project, "mv", "../../README", "../../README.md")  # what others do is no change here
    judged = carbrand(project, "gate", "--against", "main")
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_a_version_is_named_after_its_folder_as_gto_and_dvc_name_it(project: Path):
    for said in ("is now in", "was already in"):
        done = carbrand(project, "promote")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"ml/cars:model v0.0.1 {said} prod")
    assert git(project, "tag").split() == ["ml/cars=model#prod#1", "ml/cars=model@v0.0.1"]
    for name in ("model@prod", "model@v0.0.1", "ml/cars:model@prod", "ml/cars:model@v0.0.1"):
        assert find_model(name, project, MODEL).read_bytes() == (project / MODEL).read_bytes()
    got = ("artifacts", "get", ".", "ml/cars:model", "--stage", "prod", "-o", "got.h5")
    done = run([sys.executable, "-m", "dvc", *got], project)
    assert done.returncode == 0, done.stderr
    assert (project / "got.h5").read_bytes() == (project / MODEL).read_bytes()


def test_tags_of_a_neighbour_are_neither_found_nor_pushed(project: Path, tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "origin")
    git(project, "remote", "add", "origin", str(tmp_path / "origin"))
    git(project, "tag", "model@v0.0.1")
    git(project, "tag", "ml/vans=model@v0.0.1")
    assert carbrand(project, "predict", "--model", "other@prod", PHOTO).returncode == 2
    assert carbrand(project, "promote", "--push").returncode == 0
    pushed = git(tmp_path / "origin", "tag").split()
    assert pushed == ["ml/cars=model#prod#1", "ml/cars=model@v0.0.1"]


def test_a_new_model_becomes_a_branch_that_changes_this_project_only(project: Path):
    root = project.parent.parent
    edit_params(project, plot__dpi=60)
    git(project, "commit", "-qam", "finer")
    (root / "half-done.txt").write_text("not this branch's", "utf-8")
    git(root, "add", "half-done.txt")
    tried = carbrand(project, "retrain", "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert "would run: plot\n" in tried.stdout
    done = carbrand(project, "retrain")
    assert done.returncode == 0, done.stdout + done.stderr
    (branch,) = git(project, "branch", "--list", "retrain/*", "--format=%(refname)").split()
    assert git(root, "diff", "--name-only", "HEAD", branch).split() == ["ml/cars/dvc.lock"]
    assert git(root, "diff", "--cached", "--name-only").split() == ["half-done.txt"]


@in_torture  # in every run, a folder of a repository
def test_in_a_worktree_in_a_submodule_and_in_a_hook_it_is_the_same(project: Path, tmp_path: Path):
    cache = project / ".dvc" / "cache"
    git(project, "worktree", "add", "-q", str(tmp_path / "tree"))
    tree = tmp_path / "tree" / "ml" / "cars"
    git(tmp_path, "init", "-q", "outer")
    allowed = ("-c", "protocol.file.allow=always")
    git(tmp_path / "outer", *allowed, "submodule", "--quiet", "add", str(tmp_path / "mono"), "in")
    inner = tmp_path / "outer" / "in" / "ml" / "cars"
    for folder in (tree, inner):
        shutil.copytree(cache, folder / ".dvc" / "cache")
        assert find_model("HEAD", folder, MODEL).read_bytes() == (project / MODEL).read_bytes()
        assert carbrand(folder, "gate", "--against", "HEAD").returncode == 0
    hook = {"GIT_DIR": str(tmp_path / "outer" / ".git"), "GIT_INDEX_FILE": ".git/index"}
    assert carbrand(project, "promote", **hook).returncode == 0
    assert git(project, "tag").split() == ["ml/cars=model#prod#1", "ml/cars=model@v0.0.1"]
    done = carbrand(project, "predict", "--model", "model@prod", "--top", "1", PHOTO, **hook)
    assert done.stdout.startswith(f"{PHOTO}: asta "), done.stderr
