"""Line ends: DVC hashes bytes, and Git for Windows writes CRLF unless it is told not to."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

import pytest

from carbrand.node.files.table import read_table
from carbrand.pipeline.healing import heal_line_ends
from tests.conftest import ROOT, copy_project, git, remember, run

NOTE = "had CRLF line ends. They are LF now"


def to_crlf(*files: Path) -> None:
    for file in files:
        file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def repro(project: Path) -> tuple[list[str], str]:
    """The nodes that `make repro` runs, and what it says on stderr."""
    result = run([sys.executable, "-m", "stages"], project)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    nodes = [line.split("'")[1] for line in lines if line.startswith("Running stage ")]
    return nodes, result.stderr


def clone_of(project: Path, target: Path, *settings: str) -> Path:
    """A clone by a Git with these settings, which has what the other one's DVC has."""
    options = [part for setting in settings for part in ("-c", setting)]
    git(project.parent, "clone", "-q", *options, str(project), str(target))
    remember(target, project)
    dvc(target, "checkout", "-q")
    return target


def dvc(project: Path, *arguments: str) -> str:
    result = run([sys.executable, "-m", "dvc", *arguments], project)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


WINDOWS = ("core.autocrlf=true",)
OTHERS = [("core.eol=crlf",), ("core.autocrlf=true", "core.eol=crlf"), ("core.autocrlf=input",)]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole project in Git, with a table and a text among it that have CRLF."""
    project = copy_project(tmp_path_factory.mktemp("committed") / "project")
    # Both are hashed as they lie there.
    for path in ("Datasets/train/notes.txt", "artifacts/evaluate/predictions.csv"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(b'one\r\n"two\n\rthree"\n')
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "all")
    return project


@pytest.mark.parametrize("settings", [WINDOWS, *OTHERS], ids=" ".join)
def test_every_clone_has_the_same_bytes(settings, committed, tmp_path):
    project = committed
    options = [part for setting in settings for part in ("-c", setting)]
    git(tmp_path, "clone", "-q", *options, str(project), "clone")
    for path in filter(None, git(project, "ls-files", "-z").split("\0")):
        assert (tmp_path / "clone" / path).read_bytes() == (project / path).read_bytes(), path
    assert git(tmp_path / "clone", "status", "--porcelain") == ""


def test_nothing_is_stale_in_a_clone_on_windows_and_nothing_at_home_after_its_run(toy, tmp_path):
    windows = clone_of(toy, tmp_path / "windows", *WINDOWS)
    assert dvc(windows, "status") == "Data and pipelines are up to date.\n"
    # Editors there write CRLF.
    params = windows / "params.yaml"
    params.write_text(params.read_text("utf-8").replace("width: 40", "width: 41"), "utf-8")
    to_crlf(params, windows / "dvc.yaml", windows / "dvc.lock", windows / "stages/fit.py")
    nodes, said = repro(windows)
    assert nodes == ["show"]
    assert f"note: stages/fit.py {NOTE}" in said
    git(windows, "commit", "-qam", "41")
    changed = git(windows, "diff", "--name-only", "HEAD~").split()
    assert changed == ["dvc.lock", "params.yaml"]

    remember(toy, windows)
    git(toy, "pull", "-q", str(windows), "main")
    dvc(toy, "checkout", "-q")
    assert dvc(toy, "status") == "Data and pipelines are up to date.\n"
    assert git(toy, "status", "--porcelain") == ""


def test_a_checkout_from_before_is_mended_by_the_next_run(toy):
    """Git writes no file anew because attributes changed."""
    listed = git(toy, "ls-files", "-z", "stages", "artifacts")
    texts = [toy / path for path in filter(None, listed.split("\0"))]
    modes = [path.stat().st_mode for path in texts]
    to_crlf(*texts)
    nodes, said = repro(toy)
    assert nodes == []
    assert f" and {len(texts) - 1} more {NOTE}" in said
    assert [path.stat().st_mode for path in texts] == modes
    assert git(toy, "status", "--porcelain") == ""
    assert NOTE not in repro(toy)[1]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project whose Git keeps a module, a table and a photo."""
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    git(tmp_path, "init", "-q")
    for name in ("carbrand/a.py", "artifacts/train/a.csv", "artifacts/train/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"one\ntwo\n")
    (tmp_path / "artifacts/train/names.csv").write_bytes(b'path\n"a\r\nb.png"\n')
    git(tmp_path, "add", "-A")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("carbrand/a.py", b"one\r\ntwo\r\n", b"one\ntwo\n"),
        ("carbrand/a.py", b"one\r\ntwo\nthree\n", b"one\ntwo\nthree\n"),
        ("carbrand/new.py", b"new\r\n", b"new\n"),
        ("artifacts/train/a.csv", b"one\r\ntwo\r\n", b"one\ntwo\n"),
        # A file name with CRLF in it, and bytes that are no text.
        ("artifacts/train/a.csv", b'"a\r\nb.png"\n', b'"a\r\nb.png"\n'),
        ("artifacts/train/names.csv", b'path\n"a\r\nb.png"\n', b'path\n"a\r\nb.png"\n'),
        ("carbrand/a.py", b"\0\r\n", b"\0\r\n"),
        ("other/new.py", b"new\r\n", b"new\r\n"),
    ],
)
def test_what_git_would_keep_with_lf_gets_lf_and_nothing_else(name, before, after, repository):
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_bytes(before)
    heal_line_ends(repository)
    assert (repository / name).read_bytes() == after


def test_without_git_nothing_is_touched(tmp_path):
    (tmp_path / "carbrand").mkdir()
    (tmp_path / "carbrand/a.py").write_bytes(b"\r\n")
    heal_line_ends(tmp_path)
    assert (tmp_path / "carbrand/a.py").read_bytes() == b"\r\n"


def test_tables_that_a_spreadsheet_saved_read_the_same(finished):
    for path in sorted(finished.glob("artifacts/*/*.csv")):
        before = read_table(path)
        to_crlf(path)
        assert read_table(path) == before


def test_everything_that_is_written_as_text_has_lf_on_every_platform():
    for folder in ("carbrand", "stages"):
        for module in sorted((ROOT / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(module.read_text("utf-8"))):
                if isinstance(call, ast.Call) and _writes_text(call):
                    given = {keyword.arg for keyword in call.keywords}
                    assert "newline" in given, f"{module}:{call.lineno}"


def _writes_text(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    return call.func.attr == "write_text" or (
        call.func.attr == "open" and any(mode in ("w", "a", "x", "w+") for mode in modes)
    )
