"""Commits on branches that nobody stands on, in real repositories."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from carbrand.node.errors import UserError
from carbrand.pipeline.git import GitFailed, Repository, foreign_variables, stay_in_own_repository
from tests.conftest import ROOT, git, run

# Python without its own remedies against a locale of ASCII.
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder of a repository, with a file that is ignored and one that is not."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "a folder" / "project"
    (folder / "Datasets").mkdir(parents=True)
    (folder / "Datasets" / "old.txt").write_text("old", "utf-8")
    (folder / "dvc.lock").write_text("1", "utf-8")
    (folder / "other.py").write_text("1", "utf-8")
    (folder / ".gitignore").write_text("*.tmp\n", "utf-8")
    git(folder.parent, "init", "-q", "-b", "main")
    git(folder.parent, "add", "-A")
    git(folder.parent, "commit", "-qm", "start")
    return folder


def state(project: Path) -> tuple[str, ...]:
    """Everything that must stay as it is: branch, commit, index, working tree."""
    return tuple(
        git(project, *command)
        for command in (
            ("symbolic-ref", "HEAD"),
            ("rev-parse", "HEAD"),
            ("ls-files", "--stage"),
            ("status", "--porcelain", "--ignored"),
        )
    )


def test_a_snapshot_holds_new_changed_and_deleted_files_of_its_paths_and_no_others(project: Path):
    (project / "Datasets" / "old.txt").unlink()
    (project / "Datasets" / "nëw\n.txt").write_text("new", "utf-8")
    (project / "Datasets" / "ignored.tmp").write_text("", "utf-8")
    (project / "dvc.lock").write_text("2", "utf-8")
    (project / "other.py").write_text("2", "utf-8")
    before = state(project)
    tree = Repository(project).snapshot(["Datasets", "dvc.lock", "artifacts"])
    assert state(project) == before
    changes = git(project, "diff", "--name-status", "--no-renames", "-z", "HEAD", tree)
    assert changes.split("\0")[:-1] == [
        *("A", "project/Datasets/nëw\n.txt"),
        *("D", "project/Datasets/old.txt"),
        *("M", "project/dvc.lock"),
    ]


def test_a_snapshot_of_what_is_committed_is_the_tree_of_the_commit(project: Path):
    repository = Repository(project)
    assert repository.snapshot(["Datasets", "dvc.lock"]) == repository.find("HEAD^{tree}")


def test_what_is_staged_in_other_folders_of_the_repository_is_in_no_snapshot(project: Path):
    (project.parent / "neighbour.txt").write_text("half done", "utf-8")
    git(project.parent, "add", "neighbour.txt")
    repository = Repository(project)
    before = state(project)
    assert repository.snapshot(["Datasets", "dvc.lock"]) == repository.find("HEAD^{tree}")
    assert state(project) == before


@pytest.mark.parametrize("kind", ["a folder", "the root", "a submodule", "a worktree"])
def test_what_git_tells_its_hooks_of_another_repository_does_not_count(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    if kind == "the root":
        project = project.parent
    elif kind == "a submodule":
        git(tmp_path, "init", "-q", "outer")
        allowed = ("-c", "protocol.file.allow=always")
        git(tmp_path / "outer", *allowed, "submodule", "--quiet", "add", str(project.parent), "in")
        project = tmp_path / "outer" / "in" / "project"
    elif kind == "a worktree":
        git(project, "worktree", "add", "-q", str(tmp_path / "tree"))
        project = tmp_path / "tree" / "project"
    repository = Repository(project)
    expected = (repository.find("HEAD"), repository.prefix, repository.snapshot(["dvc.lock"]))
    git(tmp_path, "init", "-q", "other")
    own = git(project, "rev-parse", "--absolute-git-dir").strip()
    for folder in (own, str(tmp_path / "other" / ".git")):
        for name, value in (
            ("GIT_DIR", folder),
            ("GIT_INDEX_FILE", f"{folder}/index"),
            ("GIT_PREFIX", "elsewhere/"),
        ):
            monkeypatch.setenv(name, value)
        asked = Repository(project)
        assert (asked.find("HEAD"), asked.prefix, asked.snapshot(["dvc.lock"])) == expected
        assert asked.read("HEAD", "dvc.lock") == (None if kind == "the root" else b"1")
        assert asked.changed() == []
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    stay_in_own_repository(project)
    assert not {"GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX"} & set(os.environ)


def test_a_repository_that_only_the_environment_names_is_the_users_own_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project = tmp_path / "project"
    project.mkdir()
    git(tmp_path, "init", "-q", "--bare", "kept elsewhere")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "kept elsewhere"))
    stay_in_own_repository(project)
    assert foreign_variables(project) == set()
    assert Repository(project).run("rev-parse", "--git-dir").strip().endswith("kept elsewhere")


def test_a_commit_on_a_branch_leaves_everything_else_as_it_is_and_is_made_once(project: Path):
    (project / "dvc.lock").write_text("2", "utf-8")
    repository = Repository(project)
    before = state(project)
    tree = repository.snapshot(["dvc.lock"])
    commit = repository.commit_on("retrain/a", tree, "Title\n\nText with `code`")
    assert state(project) == before
    assert repository.find("retrain/a") == commit
    assert git(project, "log", "-1", "--format=%P %B", commit).strip() == (
        f"{repository.find('HEAD')} Title\n\nText with `code`"
    )
    assert (
        git(project, "log", "-1", "--format=%an", commit).strip() == "carbrand"
    )  # nobody said who
    assert repository.commit_on("retrain/a", tree, "again") == commit


def test_changed_files_are_those_that_differ_from_the_commit_staged_or_not(project: Path):
    (project / "dvc.lock").write_text("2", "utf-8")
    (project / "other.py").write_text("2", "utf-8")
    git(project, "add", "other.py")
    (project / "Datasets" / "new.txt").write_text("", "utf-8")
    repository = Repository(project)
    assert repository.changed() == ["dvc.lock", "other.py"]
    assert repository.tracked("*.txt") == ["Datasets/old.txt"]


def test_names_are_utf_8_in_a_locale_of_another_encoding(project: Path):
    (project / "Škoda.dvc").write_text("", "utf-8")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "Škoda")
    (project / "Škoda.dvc").write_text("changed", "utf-8")
    names = (
        "from pathlib import Path; from carbrand.pipeline.git import Repository; import sys; "
        "asked = Repository(Path(sys.argv[1])); print(ascii(asked.tracked('*.dvc')), "
        "ascii(asked.changed()))"
    )
    done = run([sys.executable, "-c", names, "."], project, ASCII | {"PYTHONPATH": str(ROOT)})
    assert done.stdout == "['\\u0160koda.dvc'] ['\\u0160koda.dvc']\n", done.stderr


def test_a_revision_may_look_like_an_option_or_be_none(project: Path):
    repository = Repository(project)
    assert repository.find("--all") is None
    assert repository.find("nowhere") is None
    assert repository.find("main") == git(project, "rev-parse", "HEAD").strip()


def test_the_remote_is_origin_or_the_only_one(project: Path):
    repository = Repository(project)
    assert repository.remote() is None
    git(project, "remote", "add", "fork", "nowhere")
    assert repository.remote() == "fork"
    git(project, "remote", "add", "other", "nowhere")
    assert repository.remote() is None
    git(project, "remote", "add", "origin", "nowhere")
    assert repository.remote() == "origin"


def test_a_branch_that_somebody_pushed_before_is_no_failure_and_a_missing_server_is(
    project: Path, tmp_path: Path
):
    git(tmp_path, "init", "-q", "--bare", "store")
    git(project, "remote", "add", "origin", str(tmp_path / "store"))
    repository = Repository(project)
    (project / "dvc.lock").write_text("2", "utf-8")
    tree = repository.snapshot(["dvc.lock"])
    first = repository.commit_on("retrain/a", tree, "one")
    repository.push("origin", "retrain/a")
    git(project, "update-ref", "-d", "refs/heads/retrain/a")
    assert repository.commit_on("retrain/a", tree, "another") == first  # it was proposed before
    git(project, "update-ref", "-d", "refs/heads/retrain/a")
    git(project, "update-ref", "-d", "refs/remotes/origin/retrain/a")  # nobody fetched
    assert repository.commit_on("retrain/a", tree, "another") != first
    repository.push("origin", "retrain/a")
    assert git(tmp_path / "store", "rev-parse", "retrain/a").strip() == first
    git(project, "remote", "set-url", "origin", str(tmp_path / "gone"))
    with pytest.raises(GitFailed, match="gone"):
        repository.push("origin", "retrain/a")


def test_a_folder_that_is_no_repository_is_told_in_one_line(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(UserError) as told:
        Repository(tmp_path).changed()
    assert len(told.value.problems) == 1
