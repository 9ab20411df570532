"""Where users are: no home, no name, another locale, folders that cannot be written, no shell."""

from __future__ import annotations

import ast
import csv
import functools
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, git, make_project, run
from tests.support.running import bits, in_torture
from tests.support.toy import make_toy

SOURCES = sorted([*(ROOT / "carbrand").rglob("*.py"), *(ROOT / "stages").rglob("*.py")])
# Root may write anywhere, and has a name. As this user of a namespace, it may not and has none.
NOBODY = ["unshare", "--user", "--map-user=12345", "--map-group=12345", "--"]
# `env -u`: as a container that was started with a number for a user.
HOMELESS = ["env", "-u", "HOME", "-u", "USER", "-u", "LOGNAME", "-u", "LNAME", "-u", "USERNAME"]
# Python without its own remedies against a locale of ASCII.
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
PREDICT = [sys.executable, "-m", "carbrand.cli", "predict"]


@functools.cache
def as_nobody() -> list[str]:
    """What a command begins with to run without the rights, name and home of who runs the tests."""
    if sys.platform == "win32":
        pytest.skip("rights are others there")
    if os.geteuid() != 0:
        return HOMELESS
    command = [*NOBODY, sys.executable, "-c", ""]
    if not shutil.which("unshare") or subprocess.run(command, check=False).returncode:
        pytest.skip("root may write everywhere, and this system grants no user namespace")
    return [*HOMELESS, *NOBODY]


@pytest.fixture
def locked() -> Iterator[list[Path]]:
    """Folders that shall be writable again at the end, or pytest could not remove them."""
    folders: list[Path] = []
    yield folders
    for folder in folders:
        change_rights(folder, stat.S_IWUSR, 0)


def lock(folder: Path, locked: list[Path]) -> None:
    locked.append(folder)
    change_rights(folder, 0, stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def change_rights(folder: Path, plus: int, minus: int) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~minus | plus)


def copy_library(target: Path) -> None:
    """As `pip install .` lays it down."""
    shutil.copytree(
        ROOT / "carbrand", target / "carbrand", ignore=shutil.ignore_patterns("__pycache__")
    )


def test_an_installed_library_that_cannot_be_written_predicts_from_any_folder(
    finished: Path, locked: list[Path], tmp_path: Path
) -> None:
    site, empty = tmp_path / "site", tmp_path / "elsewhere"
    copy_library(site)
    empty.mkdir()
    lock(site, locked)
    lock(empty, locked)
    photo = finished / "Datasets" / "test" / "bolt" / "000.png"
    model = finished / "artifacts" / "finetune" / "model.h5"
    command = [*as_nobody(), *PREDICT, str(photo), "--model", str(model)]
    done = run(command, empty, {"PYTHONPATH": str(site)})
    assert done.returncode == 0, done.stderr
    assert f"{photo}: bolt " in done.stdout
    assert not done.stderr
    where = [*as_nobody(), sys.executable, "-c", "import carbrand; print(carbrand.__file__)"]
    assert str(site) in run(where, empty, {"PYTHONPATH": str(site)}).stdout
    assert not list(empty.iterdir())
    assert not list(site.rglob("__pycache__"))


def test_a_project_that_cannot_be_written_predicts_and_says_in_a_line_why_it_does_not_run(
    finished: Path, locked: list[Path]
) -> None:
    before = bits(finished)
    lock(finished, locked)
    done = run([*as_nobody(), *PREDICT, "Datasets/test/bolt/000.png"], finished)
    assert done.returncode == 0, done.stderr
    assert "bolt" in done.stdout
    done = run([*as_nobody(), sys.executable, "-m", "stages", "--force"], finished)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Permission denied" in line
    assert bits(finished) == before


def test_artifacts_that_cannot_be_written_are_all_there_after_the_run_that_failed(
    pipeline: Path, locked: list[Path]
) -> None:
    before = bits(pipeline)
    lock(pipeline / "artifacts", locked)
    done = run([*as_nobody(), sys.executable, "-m", "stages", "--force"], pipeline)
    assert done.returncode == 2
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr
    assert bits(pipeline) == before


@pytest.mark.parametrize("kind", ["toy", pytest.param("real", marks=in_torture)])
def test_nobody_without_a_home_in_an_ascii_locale_gets_what_others_get(
    tmp_path: Path, kind: str
) -> None:
    """With names that ASCII has no letters for, of the project and of a brand.

    The real nodes run in another ASCII locale in test_same_bits as well.
    """
    make = make_toy if kind == "toy" else make_project
    project = make(tmp_path / "Škoda & söhne 日本")
    for split in ("train", "test"):
        folder = project / "Datasets" / split
        (folder / "asta").rename(folder / "škoda")
        (folder / "škoda" / "000.png").rename(folder / "škoda" / "é – 日本.png")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "other names")
    pipeline = [sys.executable, "-m", "stages"]
    done = run([*as_nobody(), *pipeline], project, ASCII)
    assert done.returncode == 0, done.stderr
    tables = {
        "toy": ["collect/photos.csv"],
        "real": ["validate/manifest.csv", "evaluate/predictions.csv"],
    }
    for table in tables[kind]:
        with (project / "artifacts" / table).open(encoding="utf-8") as file:
            paths = [row["path"] for row in csv.DictReader(file)]
        assert "Datasets/test/škoda/é – 日本.png" in paths
    before = bits(project)
    done = run(pipeline, project, {"LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    assert "Data and pipelines are up to date" in done.stdout
    assert bits(project) == before


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_name_that_the_terminal_has_no_letters_for_is_printed_all_the_same(
    finished: Path, encoding: str
) -> None:
    photos = finished / "Datasets" / "test" / "bolt"
    (photos / "000.png").rename(photos / "é – 日本.png")
    settings = {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [*PREDICT, "Datasets/test/bolt/é – 日本.png"],
        cwd=finished,
        env=os.environ | settings,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ": bolt " in done.stdout.decode(encoding)


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in the library and the stages: where it stands, the name, the call."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
                yield where, ast.unparse(node.func), node


def test_no_command_goes_through_a_shell() -> None:
    """Windows has another one; and a shell reads names of files in its own way."""
    for where, name, call in calls():
        assert name not in ("os.system", "os.popen", "subprocess.getoutput"), where
        for keyword in call.keywords:
            assert keyword.arg != "shell", where
    nodes = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    for name, node in nodes.items():
        program, option, module, *paths = node["cmd"].split()
        assert (program, option, module) == ("python", "-m", f"stages.{name}")
        # Nothing that any shell would take for more than a word.
        assert all(re.fullmatch(r"[A-Za-z.][\w./-]*", path) for path in paths)


def test_no_path_is_glued_together() -> None:
    """`Path(f"{folder}/name")` goes wrong where paths are written otherwise, and for `folder/`."""
    takers = {"Path", "open", "os.open", "os.listdir", "os.scandir", "shutil.copyfile"}
    seen = 0
    for where, name, call in calls():
        if name not in takers:
            continue
        seen += 1
        for argument in call.args[:2]:
            if isinstance(argument, (ast.JoinedStr, ast.BinOp)):
                texts = [n.value for n in ast.walk(argument) if isinstance(n, ast.Constant)]
                glued = any(isinstance(text, str) and re.search(r"[/\\]", text) for text in texts)
                assert not glued, where
    assert seen > 20


def test_no_module_needs_at_import_what_only_unix_has() -> None:
    """Such modules are imported where they are used, and only there."""
    only_unix = {"fcntl", "grp", "pwd", "pty", "resource", "termios", "syslog"}
    for path in SOURCES:
        for node in ast.parse(path.read_text("utf-8")).body:
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom):
                names = {str(node.module)}
            assert not names & only_unix, path


def test_files_of_text_are_read_and_written_as_utf_8() -> None:
    """Windows, and Linux in another locale, would take their own encoding."""
    for where, name, call in calls():
        words = name.split(".")
        if words[-1] not in ("read_text", "write_text"):
            continue
        # read_text(encoding), write_text(text, encoding)
        place = 0 if words[-1] == "read_text" else 1
        given = len(call.args) > place or any(k.arg == "encoding" for k in call.keywords)
        assert given, where
