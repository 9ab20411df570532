"""`carbrand init`: a project that has no code of its own, from an installed wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from carbrand.cli import main
from carbrand.node.code import CODE_FILE
from carbrand.node.origin import version_of
from carbrand.pipeline.own_project.base import BASE_FILE, read_base, write_base
from carbrand.pipeline.own_project.derived import project_files
from tests.conftest import ROOT, draw_dataset, draw_photo, git, own_environment, run
from tests.support.running import LIMITED, in_torture

VERSION = version_of("carbrand")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my cars ü"
    assert main(["init", str(folder)]) == 0
    return folder


def build_wheel(source: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = run(command, source)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


class Installed:
    """An environment with a wheel of carbrand, and the packages that it needs from this one."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        done = run([sys.executable, "-m", "venv", "--without-pip", str(folder)], ROOT)
        assert done.returncode == 0, done.stderr
        self.bin = folder / "bin"
        self.install(wheel)

    def install(self, wheel: Path) -> None:
        """Install a wheel as pip does, in place of one that is there."""
        others = next(self.bin.parent.glob("lib/python*/site-packages")) / "others.pth"
        others.unlink(missing_ok=True)  # of those packages pip must change none
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "install"]
        done = run([*pip, "-q", "--no-deps", "--no-index", "--no-compile", str(wheel)], ROOT)
        assert done.returncode == 0, done.stderr
        others.write_text(sysconfig.get_path("purelib"), "utf-8")

    def run(self, *command: str, cwd: Path, status: int = 0) -> str:
        path = os.pathsep.join([str(self.bin), own_environment()["PATH"]])
        done = run([str(self.bin / command[0]), *command[1:]], cwd, {"PATH": path})
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


def newer_carbrand(folder: Path) -> Path:
    """The source of a version in which one node has other code."""
    keep = ("carbrand", "stages", ".dvc", ".github", "weights")
    folder.mkdir()
    for name in keep:
        skip = shutil.ignore_patterns("__pycache__", "cache", "tmp", "*.h5")
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    for path in ROOT.iterdir():
        if path.is_file() and path.name not in ("dvc.lock", "ledger.csv"):
            shutil.copy(path, folder)
    replace(folder / "pyproject.toml", f'version = "{VERSION}"', 'version = "99.0"')
    with (folder / "stages" / "plot.py").open("a", encoding="utf-8") as file:
        file.write("# newer\n")
    return folder


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{path}: {old}"
    path.write_text(text.replace(old, new), "utf-8")


@in_torture  # it builds, installs and runs for a minute
def test_from_a_wheel_to_the_same_bytes_as_a_clone_and_on_to_a_newer_version(finished, tmp_path):
    installed = Installed(tmp_path / "env", build_wheel(ROOT, tmp_path / "old"))
    said = installed.run(
        *("carbrand", "init", "cars", "--photos", str(finished / "Datasets")), cwd=tmp_path
    )
    assert said.endswith("Next: cd cars && dvc repro\n")
    project = tmp_path / "cars"
    shutil.copy(finished / "params.yaml", project)
    shutil.copy(finished / "weights" / "small.h5", project / "weights")
    installed.run("python", "-m", "dvc", "repro", "-q", cwd=project)
    nodes = [path for path in (finished / "artifacts").rglob("*") if path.name != ".gitignore"]
    files = [path.relative_to(finished) for path in nodes if path.is_file()]
    assert len(files) > 30
    other = [p for p in files if (finished / p).read_bytes() != (project / p).read_bytes()]
    assert other == []

    wheel = build_wheel(newer_carbrand(tmp_path / "source"), tmp_path / "new")
    installed.install(wheel)
    node = ("stages.train", "params.yaml", *(f"artifacts/{name}" for name in ("", "b", "c", "d")))
    for module in (node, ("stages",)):
        (line,) = installed.run("python", "-m", *module, cwd=project, status=2).splitlines()
        assert f"is for carbrand {VERSION}, and 99.0 is installed. `carbrand init --update`" in line
    said = installed.run("carbrand", "init", "--update", cwd=project)
    assert f'-version: "{VERSION}"\n+version: "99.0"\n' in said
    changed = json.loads(installed.run("python", "-m", "dvc", "status", "--json", cwd=project))
    assert changed == {"plot": [{"changed deps": {CODE_FILE: {"stages.plot": "modified"}}}]}


def test_a_project_can_be_committed_and_is_whole(project):
    git(project, "add", "-A")
    git(project, "commit", "-qm", "start")
    tracked = set(git(project, "ls-files").splitlines())
    tables = {"Datasets/corrections.csv", "Datasets/groups.csv"}
    assert tracked == {*project_files(VERSION), *tables, CODE_FILE, BASE_FILE}
    assert git(project, "branch", "--show-current") == "main\n"
    said = run([sys.executable, "-m", "stages"], project)
    assert said.returncode == 2
    first, _ = said.stderr.splitlines()
    assert first.startswith("error: Datasets/train holds 0 brand folders, expected at least 2. Put")


def test_nothing_that_is_there_is_overwritten(tmp_path, capsys):
    folder = tmp_path / "project"
    draw_dataset(folder / "Datasets")
    (folder / "README.md").write_text("mine", "utf-8")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["init", str(folder), "--photos", str(folder / "Datasets")]) == 2
    assert "has photos already" in capsys.readouterr().err
    (folder / "dvc.yaml").write_text("mine", "utf-8")
    assert main(["init", str(folder)]) == 2
    assert "has files that a project needs to be others: dvc.yaml. " in capsys.readouterr().err
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before | {
        folder / "dvc.yaml": b"mine"
    }
    (folder / "dvc.yaml").unlink()
    assert main(["init", str(folder)]) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert main(["init", str(folder)]) == 2
    assert "is a project of carbrand already" in capsys.readouterr().err


def test_what_was_interrupted_is_finished_by_the_same_command(tmp_path):
    photos = draw_dataset(tmp_path / "photos")
    command = ["init", str(tmp_path / "project"), "--photos", str(photos)]
    assert main(command) == 0
    half = [BASE_FILE, "dvc.yaml", "Makefile", ".dvc/config", "Datasets/test/asta/000.png"]
    for name in half:
        (tmp_path / "project" / name).unlink()
    photo = tmp_path / "project/Datasets/train/asta/001.png"
    photo.write_bytes(photo.read_bytes()[:100])
    assert main(command) == 0
    assert all((tmp_path / "project" / name).is_file() for name in half)
    assert photo.read_bytes() == (photos / "train/asta/001.png").read_bytes()


def test_a_full_disk_is_told_in_a_line_and_the_same_command_finishes_it(tmp_path):
    pytest.importorskip("resource", reason="there are no such limits on Windows")
    photos = draw_dataset(tmp_path / "photos", train=2, test=1)
    draw_photo((90, 90, 90), 1, (400, 300)).save(photos / "train/asta/large.png")
    command = ["carbrand.cli", "init", "project", "--photos", "photos"]
    environment = {"PYTHONPATH": str(ROOT)}
    result = run([sys.executable, "-c", LIMITED, "200000", *command], tmp_path, environment)
    (line,) = result.stderr.splitlines()
    assert (result.returncode, line.rpartition(": ")[0]) == (
        2,
        "error: project/Datasets/train/asta/large.png",
    )
    assert not (tmp_path / "project/dvc.yaml").exists()
    assert run([sys.executable, "-m", *command], tmp_path, environment).returncode == 0
    for photo in photos.rglob("*.png"):
        copy = tmp_path / "project/Datasets" / photo.relative_to(photos)
        assert copy.read_bytes() == photo.read_bytes()


def test_folders_that_cannot_be_a_project_are_told_in_a_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("", "utf-8")
    git(tmp_path, "init", "-q", "outer")
    (tmp_path / "outer" / ".gitignore").write_text("out/\n", "utf-8")
    draw_dataset(tmp_path / "linked")
    (tmp_path / "linked/test/asta/x.png").symlink_to("/etc/hostname")
    monkeypatch.chdir(tmp_path)
    for arguments, why in (
        (["file"], "file is a file, expected a folder"),
        (["outer/out/x"], "Git ignores outer/out/x"),
        (["new", "--photos", "linked/train"], "linked/train/train does not exist"),
        (["new", "--photos", "linked"], "a link to a file outside the folders of photos"),
        (["new", "--update"], "no project that `carbrand init` made"),
        ([], "Name the folder"),
        ([""], "Name the folder"),
    ):
        assert main(["init", *arguments]) == 2
        line, *others = capsys.readouterr().err.splitlines()
        assert why in line
        assert len(others) == (arguments[-1:] == ["linked/train"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "linked", "outer"]


def test_a_project_in_a_folder_of_a_repository_makes_none_of_its_own(tmp_path):
    git(tmp_path, "init", "-q")
    assert main(["init", str(tmp_path / "ml" / "cars")]) == 0
    assert not (tmp_path / "ml" / "cars" / ".git").exists()


def make_older(project: Path, **texts: tuple[str, str]) -> None:
    """Let an earlier carbrand have made the project, whose files had other texts."""
    files = read_base(project)
    for name, (now, earlier) in texts.items():
        path = name.replace("__", ".")
        replace(project / path, now, earlier)
        files[path] = (project / path).read_text("utf-8")
    write_base(project, files)
    replace(project / CODE_FILE, f'"{VERSION}"', '"0.0.1"')


def test_an_update_keeps_what_was_changed_and_takes_what_is_new(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    make_older(
        project,
        params__yaml=("  l2: 0.0003 ", "  l2: 0.9999 "),
        Makefile=("make .venv from", "old"),
        requirements__txt=(f"carbrand=={VERSION}", "carbrand==0.0.1"),
    )
    replace(project / "params.yaml", "  epochs: 50 ", "  epochs: 40 ")
    replace(project / "params.yaml", "  ece_bins: 10 ", "  ece_bins: 15 ")
    replace(project / "requirements.txt", "carbrand[cpu]", "carbrand[gpu]")
    (project / ".gitlab-ci.yml").unlink()
    capsys.readouterr()
    assert main(["init", "--update", str(project)]) == 0
    params = (project / "params.yaml").read_text("utf-8")
    news = project_files(VERSION)
    assert params == news["params.yaml"].replace("  epochs: 50 ", "  epochs: 40 ").replace(
        "  ece_bins: 10 ", "  ece_bins: 15 "
    )
    assert (project / "Makefile").read_text("utf-8") == news["Makefile"]
    assert (
        (project / "requirements.txt")
        .read_text("utf-8")
        .endswith(f"carbrand=={VERSION}\ncarbrand[gpu]\n")
    )
    assert not (project / ".gitlab-ci.yml").exists()
    said = capsys.readouterr().out
    assert re.findall(r"^[-+] .*l2: ([\d.]+)", said, re.MULTILINE) == ["0.9999", "0.0003"]
    assert main(["init", "--update", str(project)]) == 0
    assert (project / "params.yaml").read_text("utf-8") == params


def test_a_line_that_both_changed_is_a_conflict_in_which_both_are_kept(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    make_older(project, params__yaml=("  l2: 0.0003 ", "  l2: 0.9999 "))
    replace(project / "params.yaml", "  l2: 0.9999 ", "  l2: 0.0100 ")
    assert main(["init", "--update", str(project)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("params.yaml: 1\N{NO-BREAK SPACE}conflict between your changes")
    said = run([sys.executable, "-m", "stages"], project).stderr
    assert f"`train.l2` is 0.01 (yours) or 0.0003 (carbrand {VERSION})" in said
    make_older(project, params__yaml=("  views: 4 ", "  views: 1 "))
    before = (project / "params.yaml").read_bytes()
    assert main(["init", "--update", str(project)]) == 2
    assert "a conflict of an earlier merge is left" in capsys.readouterr().err
    assert (project / "params.yaml").read_bytes() == before
