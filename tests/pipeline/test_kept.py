"""What a run reads must be in Git or in DVC, or else nobody could make the model again."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from carbrand.node.errors import UserError
from carbrand.pipeline.dvc_files import read_inputs
from carbrand.pipeline.healing import heal_line_ends
from carbrand.release.tracked import check_tracked, find_untracked
from tests.conftest import draw_photo, edit_params, git, remember, run
from tests.support.copies import copy_made

PIPELINE = """
stages:
  learn:
    cmd: "true"
    deps: [Datasets/train, code.py, weights]
    outs: [artifacts/model]
  report:
    cmd: "true"
    deps: [Datasets/train, artifacts/model]
    outs: [{artifacts/page: {cache: false}}]
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A made-up project, all of it committed; no node ever ran."""
    project = tmp_path / "a repository" / "a project"
    for file, text in {
        "Datasets/train/asta/1.png": "1",
        "code.py": "",
        "dvc.yaml": PIPELINE,
        "params.yaml": "features: {weights: imagenet}\n",
        "weights/README.md": "",
        ".gitignore": "/artifacts\n/weights/*\n!/weights/README.md\n",
        ".dvcignore": "__pycache__/\n",
        ".dvc/config": "",
    }.items():
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(text, "utf-8")
    git(project.parent, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "start")
    return project


def touch(project: Path, *files: str) -> None:
    for file in files:
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(file, "utf-8")


def problem_of(project: Path, *committed: str) -> str:
    with pytest.raises(UserError) as caught:
        check_tracked(project, committed)
    (problem,) = caught.value.problems
    assert "\n" not in problem
    return problem


def test_inputs_are_what_nodes_read_and_none_writes(small: Path):
    known = ["Datasets/train", "code.py", "dvc.yaml", "params.yaml", "weights"]
    assert read_inputs(small) == known
    assert find_untracked(small) == []


def test_a_file_whose_line_ends_git_keeps_otherwise_is_another_one_in_every_clone(small: Path):
    (small / ".gitattributes").write_text("* text=auto eol=lf\n")
    (small / "carbrand").mkdir()
    (small / "carbrand/a.py").write_bytes(b"one\r\ntwo\r\n")
    git(small, "add", "-A")
    git(small, "commit", "-qm", "an editor on Windows")
    assert git(small, "status", "--porcelain") == ""
    said = problem_of(small)
    assert "carbrand/a.py (with line ends CRLF here and LF in Git: `make repro` mends that)" in said
    heal_line_ends(small)
    check_tracked(small)


def test_what_no_node_reads_and_what_dvc_ignores_does_not_matter(small: Path):
    touch(small, "notes.txt", "artifacts/model", "Datasets/train/__pycache__/x", "Datasets/x")
    check_tracked(small)


def test_new_files_are_named_with_the_command_that_adds_them(small: Path):
    touch(small, *(f"Datasets/train/asta/new {n}.png" for n in range(7)))
    problem = problem_of(small)
    assert problem.startswith("7 of the files that the run reads are in neither Git nor DVC")
    assert "Datasets/train/asta/new 4.png and 2 more (`git add Datasets/train`)" in problem
    check_tracked(small, ["Datasets"])  # about to be committed
    touch(small, "weights/own.h5")
    problem = problem_of(small, "Datasets")
    assert "weights/own.h5 (which Git ignores: `dvc add weights/own.h5`, or `git add -f" in problem


def test_ignored_photos_are_no_more_kept_when_others_are_committed(small: Path):
    touch(small, "Datasets/train/asta/new.png")
    (small / "Datasets" / ".gitignore").write_text("*.png\n", "utf-8")
    git(small, "add", "-A")
    assert "new.png (which Git ignores" in problem_of(small, "Datasets")


def test_weights_that_lie_elsewhere_are_read_too(small: Path):
    (small / "params.yaml").write_text("features: {weights: own.h5}\n", "utf-8")
    touch(small, "own.h5")
    assert "own.h5 (`git add own.h5`)" in problem_of(small)
    (small / "params.yaml").write_text("features: {weights: ../own.h5}\n", "utf-8")
    touch(small, "../own.h5")
    assert "../own.h5 (outside of the project" in problem_of(small)


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_is_kept_only_with_what_it_leads_to(small: Path, tmp_path: Path):
    touch(tmp_path, "elsewhere.png")
    link = small / "Datasets/train/asta/link.png"
    link.symlink_to("1.png")
    git(small, "add", "-A")
    check_tracked(small)
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere.png")
    git(small, "add", "-A")
    assert "link.png (a link that leads to what neither keeps" in problem_of(small)


def test_dvc_keeps_photos_as_its_file_says_and_git_must_keep_that_file(toy: Path):
    project = toy
    git(project, "rm", "-rq", "--cached", "Datasets/train")
    assert (
        run([sys.executable, "-m", "dvc", "add", "-q", "Datasets/train"], project).returncode == 0
    )
    problem = problem_of(project)
    assert "Datasets/train.dvc (`git add " in problem
    assert "Datasets/train/" not in problem
    git(project, "add", "-A")
    check_tracked(project)
    draw_photo((200, 30, 30), 77).save(project / "Datasets" / "train" / "asta" / "new.png")
    assert "DVC keeps another state: `dvc add Datasets/train`" in problem_of(project, "Datasets")
    shutil.rmtree(project / "Datasets" / "train")
    check_tracked(project)


# --- the commands


def carbrand(project: Path, *arguments: str):
    return run([sys.executable, "-m", "carbrand.cli", *arguments], project)


def test_a_version_that_nobody_could_make_again_is_promoted_only_when_a_person_accepts_it(
    other_photos: Path, tmp_path: Path
):
    finished = copy_made(other_photos, tmp_path / "project")
    git(finished, "commit", "-qam", "new photos")  # -a takes no new files
    done = carbrand(finished, "promote")
    assert done.returncode == 2
    assert "Datasets/test/cirro/new.png (`git add Datasets/test`)" in done.stderr
    assert git(finished, "tag") == ""
    done = carbrand(finished, "promote", "--accept", "--stage", "other")
    assert done.returncode == 0
    assert done.stderr.startswith("note: 1 of the files")

    # As the README has it.
    git(finished, "add", "Datasets", "dvc.lock", "artifacts")
    git(finished, "commit", "-qm", "New photos")
    done = carbrand(finished, "promote")
    assert (done.returncode, done.stderr) == (0, "")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(finished), str(clone))
    remember(clone, finished)
    assert run([sys.executable, "-m", "stages"], clone).returncode == 0
    assert git(clone, "status", "--porcelain") == ""


def test_retrain_runs_nothing_of_which_the_commit_would_lack_a_part(finished: Path):
    own = {"features__backbone": "efficientnet_lite0", "features__weights": "weights/own.h5"}
    edit_params(finished, **own)
    git(finished, "commit", "-qam", "own weights")
    touch(finished, "weights/own.h5")
    done = carbrand(finished, "retrain")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "weights/own.h5 (which Git ignores" in line
    assert "Running" not in done.stdout
