"""Branches that both ran the pipeline merge, and what nobody ran is never called up to date."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from carbrand.pipeline.dvc_files import read_outputs
from carbrand.pipeline.lock_merge.driver import CONFLICT, merge_files
from carbrand.pipeline.lock_merge.git_config import SETTINGS
from carbrand.pipeline.lock_merge.three_way import Unsettled, merge_locks
from tests.conftest import ROOT, change_test_photos, edit_params, git, run
from tests.support.copies import copy_made
from tests.support.toy import repro

BOTH_CHANGED = {"x": 2, "y": 2}


def entry(out: str = "0", dep: str = "0", **params: object) -> dict:
    """An entry of dvc.lock as a run writes it."""
    return {
        "cmd": "python make.py",
        "deps": [{"path": "a.csv", "hash": "md5", "md5": dep * 32, "size": 1}],
        "params": {"params.yaml": params or {"x": 1, "y": 1}},
        "outs": [{"path": "b.csv", "hash": "md5", "md5": out * 32, "size": 1}],
    }


def lock(**stages: dict) -> dict:
    return {"schema": "2.0", "stages": stages}


OLD = entry(out="0")
X = entry(out="1", x=2, y=1)  # what a run wrote after x had been changed
Y = entry(out="2", x=1, y=2)
XY = entry(out="3", x=2, y=2)


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [(OLD, OLD, OLD), (X, OLD, X), (OLD, X, X), (X, X, X), (X, XY, XY), (XY, X, XY)],
)
def test_an_entry_is_that_of_the_run_that_saw_the_changes_of_both_sides(ours, theirs, merged):
    result = merge_locks(lock(node=OLD), lock(node=ours), lock(node=theirs))
    assert result.lock == lock(node=merged)
    assert result.not_run == ()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (X, Y),
        (X, entry(out="2", x=3, y=1)),  # one parameter, two values
        (X, entry(out="2", dep="1", x=1, y=1)),  # another photo, say
        (X, OLD | {"cmd": "python other.py"}),
    ],
)
def test_where_no_run_saw_both_the_entry_is_ours_and_the_node_is_named(ours, theirs):
    for mine, other in ((ours, theirs), (theirs, ours)):
        result = merge_locks(lock(node=OLD), lock(node=mine), lock(node=other))
        assert result.lock == lock(node=mine)
        assert result.not_run == ("node",)


def test_of_two_runs_of_the_same_with_other_results_ours_stays():
    mine, other = entry(out="1", x=2, y=1), entry(out="2", x=2, y=1)
    result = merge_locks(lock(node=OLD), lock(node=mine), lock(node=other))
    assert (result.lock, result.not_run) == (lock(node=mine), ())


def test_nodes_come_and_go():
    base = lock(one=OLD, two=OLD, three=OLD)
    ours = lock(one=OLD, three=X, five=X)  # without two
    theirs = lock(one=OLD, two=OLD, five=Y, four=Y)  # without three, which we changed
    result = merge_locks(base, ours, theirs)
    assert list(result.lock["stages"]) == ["one", "three", "five", "four"]
    assert result.lock["stages"]["three"] == X
    assert result.not_run == ("five",)


def test_every_entry_is_whole_and_a_node_is_named_by_both_sides_or_by_none():
    dice = random.Random(0)

    def roll() -> dict:
        runs = [entry(dice.choice("01"), dice.choice("01"), x=dice.randint(0, 1)) for _ in "ab"]
        return lock(**{name: dice.choice(runs) for name in "abcd" if dice.random() < 0.8})

    for _ in range(500):
        base, ours, theirs = roll(), roll(), roll()
        one, other = merge_locks(base, ours, theirs), merge_locks(base, theirs, ours)
        for name, merged in one.lock["stages"].items():
            assert merged in (ours["stages"].get(name), theirs["stages"].get(name))
        assert set(one.not_run) == set(other.not_run)
        assert set(one.lock["stages"]) == set(other.lock["stages"])


def test_what_is_beside_the_nodes_is_merged_or_a_conflict():
    old = lock() | {"datasets": [{"name": "a"}]}
    new = lock() | {"datasets": [{"name": "b"}]}
    assert merge_locks(old, old, new).lock == new
    with pytest.raises(Unsettled):
        merge_locks(lock(), old, new)


def write(path: Path, content: dict | str | bytes) -> Path:
    if isinstance(content, dict):
        content = yaml.safe_dump(content, sort_keys=False)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.usefixtures("sample_in_place")
def test_what_is_written_is_what_dvc_writes_byte_by_byte(tmp_path):
    content = (ROOT / "dvc.lock").read_bytes()
    changed = content.replace(b"size: 81", b"size: 82")
    base, ours, theirs = (tmp_path / name for name in ("base", "ours", "theirs"))
    base.write_bytes(content)
    theirs.write_bytes(changed)
    # Our text is laid out differently, with the line ends of Windows: DVC writes it anew as well.
    ours.write_bytes(content.replace(b" \n      ", b" ").replace(b"\n", b"\r\n"))
    assert merge_files(base, ours, theirs) == 0
    assert ours.read_bytes() == changed


DAMAGED: dict[str, str | bytes] = {
    "markers": "<<<<<<< ours\nschema: '2.0'\n=======\nschema: '2.0'\n>>>>>>> theirs\n",
    "no YAML": "schema: '2.0'\nstages: {",
    "twice": "schema: '2.0'\nstages:\n  a: {cmd: x}\n  a: {cmd: y}\n",
    "empty": "",
    "a list": "- 1\n",
    "a later schema": "schema: '3.0'\nstages: {}\n",
    "nodes as a list": "schema: '2.0'\nstages: []\n",
    "no command": "schema: '2.0'\nstages: {node: {deps: []}}\n",
    "a dependency without path": "schema: '2.0'\nstages: {node: {cmd: x, deps: [{md5: a}]}}\n",
    "no UTF-8": b"schema: '2.0'\nstages: {node: {cmd: \xff}}\n",
}


@pytest.mark.parametrize("side", ["base", "ours", "theirs"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_version_that_dvc_would_not_read_is_a_conflict(damage, side, tmp_path, capsys):
    files = {name: write(tmp_path / name, lock(node=OLD)) for name in ("base", "ours", "theirs")}
    write(files[side], DAMAGED[damage])
    before = files["ours"].read_bytes()
    if (side, damage) == ("base", "empty"):  # what Git gives where both sides made the file
        assert merge_files(**files) == 0
        return
    assert merge_files(**files) == CONFLICT
    assert files["ours"].read_bytes() == before
    (line,) = capsys.readouterr().err.splitlines()
    assert "dvc.lock" in line


# The same in Git.


def try_git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    who = ["-c", "user.name=tests", "-c", "user.email=tests@example.invalid"]
    return run(["git", *who, *arguments], folder, {"GIT_CONFIG_GLOBAL": os.devnull})


def install(folder: Path) -> None:
    """What `make` does: an environment in .venv, here a name for this one, and the drivers."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    result = run([sys.executable, "-m", "carbrand.pipeline.lock_merge", "install"], folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def commit_lock(folder: Path, **stages: dict) -> None:
    write(folder / "dvc.lock", lock(**stages))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "ran")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A Git repository with branches `ours`, where x and its node were changed, and `theirs`: y."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    shutil.copy(ROOT / ".gitattributes", folder)
    (folder / ".gitignore").write_text("/.venv/\n")
    (folder / "photos").mkdir()
    (folder / "photos" / "001.txt").touch()
    commit_lock(folder, x=OLD, y=OLD, both=OLD)
    git(folder, "checkout", "-qb", "theirs")
    commit_lock(folder, x=OLD, y=Y, both=Y)
    git(folder, "checkout", "-qb", "ours", "main")
    commit_lock(folder, x=X, y=OLD, both=X)
    return folder


def read_lock(folder: Path) -> dict:
    return yaml.safe_load((folder / "dvc.lock").read_text("utf-8"))


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (["merge", "-q", "theirs"], X),
        (["merge", "-q", "-X", "theirs", "theirs"], X),
        (["merge", "-q", "-s", "recursive", "theirs"], X),
        (["cherry-pick", "theirs"], X),
        (["rebase", "-q", "theirs"], Y),  # Git calls that side ours on which it builds
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_git_merges_entry_by_entry_and_names_what_must_run(command, ours, clone):
    install(clone)
    result = try_git(clone, *command)
    assert result.returncode == 0, result.stderr
    assert read_lock(clone) == lock(x=X, y=Y, both=ours)
    assert "changes of both sides: both. `make repro` does" in result.stderr
    assert git(clone, "status", "--porcelain") == ""


def test_it_works_from_a_folder_inside_and_in_a_worktree_without_an_environment(clone):
    install(clone)
    git(clone, "worktree", "add", "-q", "../another tree", "theirs")
    tree = clone.parent / "another tree"
    assert try_git(tree / "photos", "merge", "-q", "ours").returncode == 0
    assert read_lock(tree) == lock(x=X, y=Y, both=Y)


FOLDER = Path("ml team", "it's ours")


@pytest.fixture
def monorepo(clone: Path, tmp_path: Path) -> Path:
    """The same project, with its branches, in a folder of a larger repository; that folder."""
    shutil.move(clone, tmp_path / "moved")
    root = tmp_path / "mono repo"
    git(tmp_path, "init", "-q", "-b", "main", root.name)
    project = root / FOLDER
    for branch in ("main", "theirs", "ours"):
        if branch != "main":
            git(root, "checkout", "-qb", branch, "main")
        git(tmp_path / "moved", "checkout", "-q", branch)
        shutil.copytree(
            tmp_path / "moved", project, ignore=shutil.ignore_patterns(".git"), dirs_exist_ok=True
        )
        git(root, "add", "-A")
        git(root, "commit", "-qm", branch)
    return project


def test_in_a_folder_of_a_larger_repository_git_merges_the_same(monorepo):
    install(monorepo)
    root = monorepo.parent.parent
    git(root, "worktree", "add", "-q", "../another tree", "theirs")
    tree = root.parent / "another tree"
    assert try_git(root, "merge", "-q", "theirs").returncode == 0
    assert read_lock(monorepo) == lock(x=X, y=Y, both=X)
    git(root, "reset", "-q", "--hard", "HEAD^")
    assert try_git(monorepo / "photos", "rebase", "-q", "theirs").returncode == 0
    assert read_lock(monorepo) == lock(x=X, y=Y, both=Y)
    assert try_git(tree, "merge", "-q", "ours@{1}").returncode == 0  # without a .venv of its own
    assert read_lock(tree / FOLDER)["stages"]["y"] == Y


def test_in_a_folder_of_a_larger_repository_a_conflict_says_where(monorepo):
    install(monorepo)
    shutil.rmtree(monorepo / ".venv")
    result = try_git(monorepo, "merge", "theirs")
    assert result.returncode == 1
    assert f"Run `make repro`, then `git add dvc.lock` in {FOLDER.as_posix()}." in result.stderr
    assert read_lock(monorepo) == lock(x=X, y=OLD, both=X)


def test_histories_that_crossed_merge(clone):
    install(clone)
    git(clone, "branch", "ours-before")
    git(clone, "merge", "-q", "theirs")
    commit_lock(clone, x=X, y=Y, both=XY)
    git(clone, "checkout", "-q", "theirs")
    git(clone, "merge", "-q", "ours-before")
    result = try_git(clone, "merge", "-q", "ours")
    assert result.returncode == 0, result.stderr
    assert read_lock(clone) == lock(x=X, y=Y, both=XY)


@pytest.mark.parametrize("trouble", ["no environment", "a broken one", "a damaged side"])
def test_what_cannot_be_merged_is_a_conflict_that_leaves_our_file(trouble, clone):
    install(clone)
    if trouble == "no environment":
        shutil.rmtree(clone / ".venv")
    elif trouble == "a broken one":
        (clone / ".venv" / "bin" / "python").write_text("#!/bin/sh\nkill -9 $$\n")
    else:
        git(clone, "checkout", "-q", "theirs")
        write(clone / "dvc.lock", DAMAGED["no YAML"])
        git(clone, "commit", "-qam", "damaged")
        git(clone, "checkout", "-q", "ours")
    result = try_git(clone, "merge", "theirs")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "Run `make repro`, then `git add dvc.lock`." in result.stderr
    assert git(clone, "status", "--porcelain") == "UU dvc.lock\n"
    assert read_lock(clone) == lock(x=X, y=OLD, both=X)


def test_a_clone_that_was_not_told_merges_lines_as_ever(clone):
    assert try_git(clone, "merge", "theirs").returncode == 1
    assert "<<<<<<<" in (clone / "dvc.lock").read_text("utf-8")


def test_telling_git_again_changes_nothing_and_nothing_but_this_clone(clone, tmp_path):
    install(clone)
    config = clone / ".git" / "config"
    before, written = config.read_bytes(), config.stat().st_mtime_ns
    for folder in (clone, clone / "photos", tmp_path):  # a folder inside, and one outside
        environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        command = [sys.executable, "-m", "carbrand.pipeline.lock_merge", "install"]
        result = run(command, folder, environment)
        assert (result.returncode, result.stderr) == (0, "")
    assert (config.read_bytes(), config.stat().st_mtime_ns) == (before, written)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a clone"]
    for name, value in SETTINGS.items():
        assert git(clone, "config", "--local", name) == f"{value}\n"


def test_a_folder_inside_another_clone_leaves_that_alone(clone):
    install(clone / "photos")
    assert try_git(clone, "config", "--local", "merge.dvc-lock.driver").returncode == 1


def test_what_git_cannot_write_is_told_in_a_line_and_stops_nothing(clone):
    (clone / ".git" / "config.lock").touch()  # another Git is writing, or died while it did
    result = run([sys.executable, "-m", "carbrand.pipeline.lock_merge", "install"], clone)
    assert result.returncode == 0
    assert result.stderr.startswith("note: Git was not told how to merge dvc.lock: ")
    assert len(result.stderr.splitlines()) == 1


def test_make_tells_git():
    assert "carbrand.pipeline.lock_merge install" in run(["make", "-n", "repro"], ROOT).stdout


def test_every_file_that_a_node_writes_into_git_stays_whole_and_no_other_does(clone):
    ours = {output.path.as_posix() for output in read_outputs() if not output.cached}
    for path in [*ours, "artifacts/train/.gitignore", "params.yaml", "dvc.yaml"]:
        answer = run(["git", "check-attr", "merge", "--", path], clone).stdout
        assert answer.endswith(": dvc-out\n" if path in ours else ": unspecified\n")


# The same with a pipeline: what runs after a merge is what nobody ran.


def commit(project: Path, message: str) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", message)


def assert_clean(project: Path) -> None:
    """DVC and Git find nothing to do any more."""
    result = run([sys.executable, "-m", "dvc", "status"], project)
    assert "up to date" in result.stdout, result.stdout + result.stderr


@pytest.fixture(scope="module")
def two_runs(_toy_penalty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`penalty`, on which fit.l2 is another, and `wide`: show.width. Both ran, in one folder."""
    project = tmp_path_factory.mktemp("merge") / "project"
    copy_made(_toy_penalty, project)
    install(project)
    git(project, "checkout", "-qb", "wide", "main")
    edit_params(project, show__width=60)
    assert repro(project) == ["show"]
    commit(project, "wide")
    return project


@pytest.fixture
def branches(two_runs: Path, tmp_path: Path) -> Path:
    return copy_made(two_runs, tmp_path / "project")


def test_after_a_merge_only_what_combines_both_sides_runs(branches, two_runs, tmp_path):
    result = try_git(branches, "merge", "-q", "--no-edit", "penalty")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "both sides: show." in result.stderr
    # DVC sees it where it has the commit and none of the files, too: in a scheduled run, say.
    bare = tmp_path / "bare"
    git(branches, "clone", "-q", str(branches), str(bare))
    dry = run([sys.executable, "-m", "dvc", "repro", "--dry", "--allow-missing"], bare).stdout
    unchanged = [line.split("'")[1] for line in dry.splitlines() if "didn't change" in line]
    assert unchanged == ["collect", "fit"]
    assert repro(branches) == ["show"]
    assert_clean(branches)
    commit(branches, "merged")
    assert repro(branches) == []

    # The same as if both had been set from the start.
    direct = copy_made(two_runs, tmp_path / "direct")
    git(direct, "checkout", "-q", "-b", "direct", "main")
    edit_params(direct, fit__l2=0.05, show__width=60)
    assert repro(direct) == ["show"]
    assert (direct / "dvc.lock").read_bytes() == (branches / "dvc.lock").read_bytes()

    # And what such a branch ran is taken, whichever side it is on: no run is needed any more.
    commit(direct, "direct")
    git(direct, "checkout", "-q", "wide")
    result = try_git(direct, "merge", "-q", "direct")
    assert (result.returncode, result.stderr) == (0, "")
    assert repro(direct) == []
    assert_clean(direct)
    assert (direct / "dvc.lock").read_bytes() == (branches / "dvc.lock").read_bytes()


def test_two_values_of_one_parameter_are_for_a_person_to_choose(branches):
    git(branches, "checkout", "-qb", "free", "main")
    edit_params(branches, fit__l2=0.0)
    assert repro(branches) == ["fit", "show"]
    commit(branches, "free")
    ours = (branches / "dvc.lock").read_bytes()
    theirs = git(branches, "show", "penalty:dvc.lock").encode()
    result = try_git(branches, "merge", "penalty")
    assert result.returncode == 1
    assert "both sides: fit, show." in result.stderr
    assert git(branches, "diff", "--name-only", "--diff-filter=U") == "params.yaml\n"
    git(branches, "checkout", "--ours", "params.yaml")
    assert repro(branches) == []
    assert (branches / "dvc.lock").read_bytes() == ours
    # The other one ran too, so nothing runs: but everything is put back to it, metrics among it.
    git(branches, "checkout", "--theirs", "params.yaml")
    assert repro(branches) == []
    assert_clean(branches)
    assert (branches / "dvc.lock").read_bytes() == theirs
    assert git(branches, "diff", "--name-only", "penalty") == ""


def test_new_photos_on_one_side_and_a_parameter_on_the_other(branches):
    git(branches, "checkout", "-qb", "photos", "main")
    change_test_photos(branches)
    assert repro(branches) == ["collect", "show"]
    commit(branches, "photos")
    result = try_git(branches, "merge", "-q", "penalty")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "both sides: show." in result.stderr
    assert repro(branches) == ["show"]
    assert_clean(branches)


def test_where_one_side_alone_ran_the_pipeline_nothing_runs_after_the_merge(branches):
    git(branches, "checkout", "-q", "main")
    (branches / "notes.txt").write_text("nothing that a node reads\n")
    commit(branches, "notes")
    assert try_git(branches, "merge", "-q", "penalty").returncode == 0
    assert repro(branches) == []
    assert_clean(branches)
