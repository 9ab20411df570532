"""Names of commits: branches, tags, hashes, and experiments as `dvc exp run` keeps them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from carbrand.node.errors import UserError
from carbrand.pipeline.git import Repository
from carbrand.release.gate.revision import find_revision
from carbrand.release.registry.find import find_model
from carbrand.release.revisions import describe_known, find_commit
from tests.conftest import git

MODEL = "artifacts/finetune/model.h5"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits on main, tags of both, and two experiments that started from the first."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name in ("v1", "v2"):
        commit(folder, name)
        git(folder, "tag", name)
    experiment(folder, "v1", "muddy-seal")
    experiment(folder, "v1", "dozen-toms")
    return folder


def commit(project: Path, message: str) -> str:
    git(project, "commit", "-q", "--allow-empty", "-m", message)
    return git(project, "rev-parse", "HEAD").strip()


def experiment(project: Path, start: str, name: str) -> str:
    """What `dvc exp run` leaves in Git."""
    base = git(project, "rev-parse", start).strip()
    new = git(project, "commit-tree", f"{base}^{{tree}}", "-p", base, "-m", name).strip()
    git(project, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", new)
    git(project, "update-ref", "refs/exps/exec/EXEC_BRANCH", new)
    return new


def commit_of(project: Path, name: str) -> str | None:
    return find_commit(Repository(project), name)


def test_an_experiment_is_a_revision_like_any_other(project: Path):
    first = git(project, "rev-parse", "v1").strip()
    wanted = git(project, "rev-parse", f"refs/exps/{first[:2]}/{first[2:]}/muddy-seal").strip()
    assert commit_of(project, "muddy-seal") == wanted
    assert find_revision(project, "muddy-seal").commit == wanted
    for name in ("muddy-seal~1", "muddy-seal^", "v1", "v2~1", "main^", first[:8], "main@{1}"):
        assert commit_of(project, name) == first, name
    with pytest.raises(UserError, match=f"of muddy-seal .{wanted[:12]}. has no {MODEL}"):
        find_model("muddy-seal", project, MODEL)


def test_what_dvc_keeps_for_itself_is_no_experiment(project: Path):
    assert commit_of(project, "EXEC_BRANCH") is None
    assert "EXEC" not in describe_known(Repository(project), "EXEC_BRANCH")


def test_of_experiments_of_one_name_that_of_head_is_meant_as_dvc_has_it(project: Path):
    commit(project, "v3")
    second = experiment(project, "v2", "muddy-seal")
    with pytest.raises(UserError, match=r"^muddy-seal may be refs/exps/.*/muddy-seal .* Say which"):
        find_revision(project, "muddy-seal")
    git(project, "checkout", "-q", "v2")
    assert commit_of(project, "muddy-seal") == second


def test_a_branch_and_a_tag_of_one_name_are_told_apart_unless_they_are_the_same(project: Path):
    git(project, "branch", "twice", "v1")
    git(project, "tag", "twice", "v1")
    assert commit_of(project, "twice") == commit_of(project, "v1")
    git(project, "branch", "-f", "twice", "v2")
    with pytest.raises(UserError) as told:
        commit_of(project, "twice")
    (problem,) = told.value.problems
    assert "refs/heads/twice (" in problem
    assert "refs/tags/twice (" in problem
    assert commit_of(project, "refs/heads/twice") == commit_of(project, "v2")
    git(project, "branch", "dozen-toms", "v1")
    with pytest.raises(UserError, match=r"refs/heads/dozen-toms .*, refs/exps/.*/dozen-toms"):
        find_model("dozen-toms", project, MODEL)


def test_half_a_hash_that_two_commits_begin_with_is_ambiguous(project: Path):
    hashes: dict[str, str] = {}
    for number in range(2_000):  # of 65,536 beginnings, two meet after some 300
        text = git(project, "commit-tree", "v1^{tree}", "-m", str(number)).strip()
        if text[:4] in hashes:
            break
        hashes[text[:4]] = text
    with pytest.raises(UserError, match=r"may be .* Say which one"):
        commit_of(project, text[:4])


@pytest.mark.parametrize("find", [find_revision, lambda p, n: find_model(n, p, MODEL)])
@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("mudy-seal", "experiments muddy-seal, dozen-toms."),
        ("v3", "tags v1, v2;"),
        ("mian", "branches main;"),
        ("\x1b[31mred\nerror: forged", "branches main;"),
    ],
)
def test_a_name_that_nobody_knows_is_one_line_with_those_spelled_like_it(
    project: Path, name: str, nearest: str, find
):
    with pytest.raises(UserError) as told:
        find(project, name)
    (problem,) = told.value.problems
    assert nearest in problem
    assert problem.isprintable()


def test_of_many_names_the_nearest_three_are_listed_and_the_others_counted(project: Path):
    for number in range(1_000, 1_020):
        git(project, "tag", f"release-{number}")
    said = describe_known(Repository(project), "release-1007x")
    assert "tags release-1007, release-1000, release-1001 and 19 more;" in said


def test_a_revision_older_than_finetune_has_the_model_of_train(finished: Path):
    lock = finished / "dvc.lock"
    content = yaml.safe_load(lock.read_text("utf-8"))
    del content["stages"]["finetune"], content["stages"]["evaluate"]
    lock.write_text(yaml.safe_dump(content), "utf-8")
    git(finished, "commit", "-qam", "before")
    found = find_model("HEAD", finished, MODEL)
    assert found.read_bytes() == (finished / "artifacts/train/model.h5").read_bytes()


def test_a_model_by_name_outside_of_git_is_one_line(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(
        UserError, match=r"^main is not a file, and there is no Git repository here"
    ):
        find_model("main", tmp_path, MODEL)
