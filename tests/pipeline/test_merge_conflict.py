"""A conflict that Git left in params.yaml or dvc.yaml is told as one, with both values."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import stages.__main__ as stages
from carbrand.node.errors import UserError
from carbrand.node.files.merge_conflict import describe_conflict
from carbrand.node.params import read_file
from carbrand.pipeline.dvc_files import read_dvc_file, read_outputs
from carbrand.pipeline.healing import heal_lock
from tests.conftest import ROOT, edit_params, git, run


def set_l2(project: Path, before: str, after: str) -> None:
    file = project / "params.yaml"
    file.write_text(file.read_text("utf-8").replace(f"l2: {before}", f"l2: {after}"), "utf-8")


@pytest.fixture
def diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, the working folder, whose branches `main` and `theirs` differ in l2."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    git(tmp_path, "checkout", "-qb", "theirs")
    set_l2(tmp_path, "0.0003", "1e-05")
    git(tmp_path, "commit", "-qam", "theirs")
    git(tmp_path, "checkout", "-q", "main")
    set_l2(tmp_path, "0.0003", "0.1")
    git(tmp_path, "commit", "-qam", "ours")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def merge(project: Path, *arguments: str) -> None:
    who = ["-c", "user.name=tests", "-c", "user.email=tests@example.invalid"]
    assert run(["git", *who, *arguments], project).returncode == 1


def problem_of(path: str) -> str:
    with pytest.raises(UserError) as caught:
        read_file(Path(path))
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
@pytest.mark.parametrize("crlf", [False, True])
def test_both_values_and_the_way_out_are_told(diverged, style, crlf):
    merge(diverged, "-c", f"merge.conflictStyle={style}", "merge", "-q", "theirs")
    file = diverged / "params.yaml"
    if crlf:
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    problem = problem_of("params.yaml")
    assert "`train.l2` is 0.1 (HEAD) or 1e-05 (theirs). Keep one of each, delete" in problem
    assert problem.endswith("then `git add params.yaml`.")
    assert "\n" not in problem


def without_markers(file: Path) -> list[str]:
    lines = file.read_text("utf-8").splitlines(keepends=True)
    return [line for line in lines if not line.startswith(("<<<<<<<", "=======", ">>>>>>>"))]


def test_the_advice_settles_it(diverged):
    merge(diverged, "merge", "-q", "theirs")
    file = diverged / "params.yaml"
    kept = [line for line in without_markers(file) if "1e-05" not in line]
    file.write_text("".join(kept), "utf-8")
    assert stages.check_params(Path("params.yaml"))["train"].l2 == 0.1
    git(diverged, "add", "params.yaml")
    git(diverged, "commit", "-qm", "settled")


def test_both_lines_kept_without_the_markers_is_told_too(diverged):
    merge(diverged, "merge", "-q", "theirs")
    file = diverged / "params.yaml"
    file.write_text("".join(without_markers(file)), "utf-8")
    problem = problem_of("params.yaml")
    assert "`train.l2` is defined 2 times: `0.1` (line " in problem
    assert problem.endswith("Keep one.")


def test_the_advice_for_a_file_that_is_no_yaml_works_in_the_middle_of_a_merge(diverged):
    merge(diverged, "merge", "-q", "theirs")
    (diverged / "params.yaml").write_text("train: [")
    problem = problem_of("params.yaml")
    assert "`git checkout HEAD -- params.yaml`" in problem
    git(diverged, "checkout", "HEAD", "--", "params.yaml")
    assert read_file(Path("params.yaml"))["train"]["l2"] == 0.1


def test_a_conflict_after_stash_pop_names_its_sides(diverged):
    git(diverged, "checkout", "-q", "theirs")
    edit_params(diverged, train__l2=0.7)
    git(diverged, "stash", "-q")
    edit_params(diverged, train__l2=0.6)
    git(diverged, "commit", "-qam", "meanwhile")
    merge(diverged, "stash", "pop", "-q")
    assert "`train.l2` is 0.6 (Updated upstream) or 0.7 (Stashed changes)" in problem_of(
        "params.yaml"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n<<<<<<< x\nb: 1\n=======\n>>>>>>> y\n", "`b` is 1 (x) or missing (y)"),
        ("<<<<<<< x\na: 1\nb: {c: 1}\n=======\na: 2\n>>>>>>> y\n", "; `b.c` is 1 (x) or missing"),
        ("<<<<<<< x\na: 1 # no\n=======\na: 1\n>>>>>>> y\n", "both sides have the same values"),
        ("<<<<<<<\na: 1\n=======\na: 2\n>>>>>>>\n", "`a` is 1 (ours) or 2 (theirs)"),
        ("a: 1\n=======\nb: 2\n", "its two sides can no longer be separated"),
        ("a: 1\n>>>>>>> y\n", "(line 2)"),
        ("<<<<<<< x\na: [\n=======\na: 2\n>>>>>>> y\n", "(lines 1, 3, 5)"),
        ("<<<<<<< x\n=======\na: 2\n>>>>>>> y\n", "merge: `a` is missing (x) or 2 (y)."),
        ("<<<<<<< x\na: {}\n=======\na: 2\n>>>>>>> y\n", "`a` is {} (x) or 2 (y)"),
        ("<<<<<<< x\na: '2'\n=======\na: 2\n>>>>>>> y\n", '`a` is "2" (x) or 2 (y)'),
        ("<<<<<<< x\na: 1\n=======\na: true\n>>>>>>> y\n", "`a` is 1 (x) or true (y)"),
        ("<<<<<<< x\na: 1\n=======\na:\n>>>>>>> y\n", "`a` is 1 (x) or null (y)"),
        ('<<<<<<< x\na: 1\n=======\na: "1\\ne: 2"\n>>>>>>> y\n', '1 (x) or "1\\ne: 2" (y)'),
        ("a: x # \u2028\n<<<<<<< x\nb: 1\n=======\nb: 2\n>>>>>>> y\n", "(lines 2, 4, 6)"),
        ("<<<<<<< x\n=======\na: [1, 2, 3, 4, 5, 6]\n>>>>>>> y\n", "or 5 (y); 1 more. Keep"),
        ("<<<<<<< x\nd: [a]\n=======\nd: [b]\n>>>>>>> y\n", "`d.0` is a (x) or b (y)"),
    ],
)  # fmt: skip
def test_every_form_of_a_conflict_is_recognised(text, said):
    assert said in (describe_conflict(text) or "")


def test_a_conflict_within_the_base_of_another_is_told_by_the_outer_one(diverged):
    for branch, other, value in (("main", "theirs", "0.2"), ("theirs", "main~1", "0.3")):
        git(diverged, "checkout", "-q", branch)
        git(diverged, "merge", "-q", "-s", "ours", other)
        set_l2(diverged, {"main": "0.1", "theirs": "1e-05"}[branch], value)
        git(diverged, "commit", "-qa", "--amend", "--no-edit")
    merge(diverged, "-c", "merge.conflictStyle=diff3", "merge", "-q", "main")
    assert "<<<<<<<<< Temporary" in (diverged / "params.yaml").read_text("utf-8")
    problem = problem_of("params.yaml")
    assert "merge: `train.l2` is 0.3 (HEAD) or 0.2 (main). Keep" in problem
    assert "and all from ||||||| to =======" in problem


def test_of_many_keys_the_first_are_told():
    sides = ("\n".join(f"{letter}: {value}" for letter in "abcdefgh") for value in (1, 2))
    said = describe_conflict("<<<<<<< x\n{}\n=======\n{}\n>>>>>>> y\n".format(*sides)) or ""
    assert "`e` is 1 (x) or 2 (y); 3 more. Keep" in said


def test_what_only_looks_like_a_marker_is_none():
    assert (
        describe_conflict("a: 1 # <<<<<<< x\n  =======\n# ======= \nb: '<<<<<<<'\n<<: {c: 1}\n")
        is None
    )


def test_the_photos_of_two_branches_are_told_before_dvc_is_asked(diverged):
    for branch, md5 in (("theirs", "a"), ("main", "b")):
        git(diverged, "checkout", "-q", branch)
        (diverged / "Datasets").mkdir(exist_ok=True)
        text = f"outs:\n- md5: {32 * md5}.dir\n  hash: md5\n  path: train\n"
        (diverged / "Datasets/train.dvc").write_text(text)
        git(diverged, "add", "-A")
        git(diverged, "commit", "-qm", "photos")
    merge(diverged, "merge", "-q", "theirs")
    git(diverged, "checkout", "--ours", "params.yaml")
    with pytest.raises(UserError) as caught:
        stages.check(stages.SECTIONS, ["--pull"])
    (problem,) = caught.value.problems
    assert f"Datasets{os.sep}train.dvc: Git left a conflict" in problem
    assert f"`outs.0.md5` is {32 * 'b'}.dir (HEAD) or {32 * 'a'}.dir (theirs)" in problem


def test_dvc_yaml_and_dvc_lock_are_told_as_well(diverged):
    for branch in ("theirs", "main"):
        git(diverged, "checkout", "-q", branch)
        for name in ("dvc.yaml", "dvc.lock"):
            text = (ROOT / name).read_text("utf-8")
            (diverged / name).write_text(text.replace("stages.train", f"stages.{branch}"), "utf-8")
        git(diverged, "add", "-A")
        git(diverged, "commit", "-qm", "other commands")
    merge(diverged, "merge", "-q", "theirs")
    with pytest.raises(UserError, match=r"`stages\.train\.cmd` is .* \(HEAD\) or .* \(theirs\)"):
        read_outputs()
    with pytest.raises(UserError, match=r"`git checkout HEAD -- dvc\.lock`"):
        heal_lock(Path("dvc.lock"))
    git(diverged, "checkout", "HEAD", "--", "dvc.lock")
    heal_lock(Path("dvc.lock"))


def test_a_dvc_file_of_photos_that_both_sides_changed_is_told_as_well(tmp_path):
    file = tmp_path / "train.dvc"
    sides = (f"outs:\n- md5: {letter * 32}.dir\n  path: train\n" for letter in "ab")
    file.write_text("<<<<<<< HEAD\n{}=======\n{}>>>>>>> theirs\n".format(*sides))
    with pytest.raises(
        UserError, match=r"train\.dvc: Git left a conflict .*`git add .*train\.dvc`"
    ):
        read_dvc_file(file)
