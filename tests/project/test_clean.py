"""`make clean` deletes what was made, says so, and leaves what somebody may miss."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, git, run

MADE = (
    *(".venv/bin/python", ".vectors/a.npy", ".training/b.checkpoint", ".made_by/train.json"),
    *(".retrain/body.md", "comparison/comment.md", "export/model/model.onnx", "dvc_plots/x.html"),
    *(
        "artifacts/finetune/model.h5",
        "artifacts/plot/report.html",
        "artifacts/features/vectors.npy",
    ),
)
TRACKED = ("artifacts/train/summary.json", "artifacts/evaluate/metrics.json", "Makefile")
MINE = (
    *("Datasets/train/asta/new.png", "weights/mine.h5", "notes.txt", "artifacts/notes.txt"),
    *("exported.onnx", ".dvc/cache/files/md5/aa/bb", ".env", "artifacts/train/mine.csv"),
)

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def project_with_all(folder: Path) -> Path:
    """A file of each kind, and the project's own files that say which is which."""
    for name in (*MADE, *TRACKED, *MINE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    ignoring = [".gitignore", ".dvc/.gitignore", "Makefile"]
    ignoring += [f"artifacts/{node}/.gitignore" for node in ("train", "finetune", "evaluate")]
    for name in ignoring:
        shutil.copy(ROOT / name, folder / name)
    if (ROOT / "artifacts/.gitignore").exists():
        shutil.copy(ROOT / "artifacts/.gitignore", folder / "artifacts/.gitignore")
    return folder


def clean(project: Path) -> str:
    done = run(["make", "clean"], project)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("place", ["repository", "archive", "folder of a repository"])
def test_what_was_made_is_deleted_and_named_and_nothing_else(place, tmp_path):
    project = project_with_all(tmp_path / "my project")
    if place != "archive":
        top = project if place == "repository" else tmp_path
        git(top, "init", "-q", "-b", "main")
        paths = [str((project / name).relative_to(top)) for name in TRACKED]
        git(top, "add", "-f", *paths, "--", "*.gitignore")
        git(top, "commit", "-qm", "start")
    said = clean(project)
    assert [name for name in MADE if (project / name).exists()] == []
    assert [name for name in (*TRACKED, *MINE) if not (project / name).exists()] == []
    assert "export/" in said
    assert "artifacts/finetune/model.h5" in said
    if place != "archive":
        assert git(project, "diff", "--name-only") == ""


def test_what_is_tracked_stays_though_it_is_ignored(tmp_path):
    project = project_with_all(tmp_path)
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-f", "export/model/model.onnx", "artifacts/finetune/model.h5")
    clean(project)
    assert (project / "export/model/model.onnx").exists()
    assert (project / "artifacts/finetune/model.h5").exists()
    assert not (project / ".venv").exists()


def test_what_only_the_user_has_git_ignore_stays(tmp_path):
    project = project_with_all(tmp_path / "project")
    (tmp_path / "excludes").write_text("notes.txt\n")
    git(project, "init", "-q", "-b", "main")
    git(project, "config", "core.excludesFile", str(tmp_path / "excludes"))
    clean(project)
    assert (project / "artifacts/notes.txt").exists()
