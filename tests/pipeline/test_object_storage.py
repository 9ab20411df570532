"""Photos and artifacts in object storage: a DVC remote on S3, and photos imported from a bucket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import draw_photo, git, remember, run
from tests.support.copies import copy_made
from tests.support.s3_server import BUCKET, Storage
from tests.support.toy import make_toy


def try_dvc(
    project: Path, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "dvc", *arguments], project, env)


def dvc(project: Path, *arguments: str) -> str:
    result = try_dvc(project, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def add_store(project: Path, path: str, storage: Storage) -> None:
    """A default remote, as the README says it."""
    dvc(project, "remote", "add", "-d", "store", f"s3://{BUCKET}/{path}")
    dvc(project, "remote", "modify", "store", "endpointurl", storage.address)


def commit(project: Path) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", "more")


def clone(project: Path, target: Path) -> Path:
    """What somebody else gets: what Git holds, and nothing of DVC's cache."""
    git(project, "clone", "-q", str(project), str(target))
    return target


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def nodes_run(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running")]


@pytest.fixture(scope="module")
def stored(storage: Storage, _toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose photos DVC keeps, as the README says it, pushed to the bucket."""
    project = make_toy(tmp_path_factory.mktemp("stored") / "project")
    remember(project, _toy)
    git(project, "rm", "-rq", "--cached", "Datasets/train", "Datasets/test")
    dvc(project, "add", "Datasets/train", "Datasets/test")
    add_store(project, "path", storage)
    dvc(project, "push")
    commit(project)
    return project


def test_photos_come_back_from_the_bucket_byte_for_byte(stored, tmp_path):
    new = clone(stored, tmp_path / "clone")
    assert not (new / "Datasets" / "train").exists()
    # By name: without, `dvc pull` also asks for artifacts that no run has made yet.
    dvc(new, "pull", "Datasets/train.dvc", "Datasets/test.dvc")
    for split, count in (("train", 18), ("test", 9)):
        photos = contents(new / "Datasets" / split)
        assert len(photos) == count
        assert photos == contents(stored / "Datasets" / split)
    assert git(new, "status", "--short") == ""


def test_make_repro_says_how_to_get_photos_that_are_kept_elsewhere(stored, tmp_path):
    new = clone(stored, tmp_path / "clone")
    result = run([sys.executable, "-m", "stages"], new)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "`dvc pull Datasets/train.dvc Datasets/test.dvc`" in line
    # With --pull it is DVC's turn.
    result = run([sys.executable, "-m", "stages", "--pull", "collect"], new)
    assert result.returncode == 0, result.stderr
    assert len(contents(new / "Datasets" / "train")) == 18


def test_git_holds_no_photo_once_dvc_does(stored):
    tracked = git(stored, "ls-files", "Datasets").split()
    assert {"Datasets/train.dvc", "Datasets/test.dvc"} <= set(tracked)
    assert not [path for path in tracked if path.startswith(("Datasets/train/", "Datasets/test/"))]


def test_a_new_clone_runs_no_node_when_the_bucket_has_everything(stored, tmp_path):
    project = copy_made(stored, tmp_path / "project")
    dvc(project, "repro", "fit")
    assert contents(project / "artifacts" / "fit")
    dvc(project, "push")
    commit(project)
    new = clone(project, tmp_path / "clone")
    assert nodes_run(dvc(new, "repro", "--pull", "fit")) == []
    assert git(new, "status", "--short") == ""
    for node in ("collect", "fit"):
        assert contents(new / "artifacts" / node) == contents(project / "artifacts" / node)


@pytest.fixture
def imported(storage: Storage, tmp_path: Path) -> Path:
    """A project whose photos were imported from a folder of the bucket."""
    project = make_toy(tmp_path / "project")
    for path in sorted((project / "Datasets").glob("*/*/*.png")):
        storage.upload(path, f"photos/{path.relative_to(project / 'Datasets').as_posix()}")
    git(project, "rm", "-rq", "Datasets/train", "Datasets/test")
    # Git deletes empty folders.
    (project / "Datasets").mkdir(exist_ok=True)
    with (project / ".dvc/config").open("a") as file:  # as `dvc remote add` writes it
        url = f"s3://{BUCKET}/photos"
        file.write(f"['remote \"photos\"']\n    url = {url}\n    endpointurl = {storage.address}\n")
    for split in ("train", "test"):
        dvc(project, "import-url", f"remote://photos/{split}", f"Datasets/{split}")
    commit(project)
    return project


def collect(project: Path) -> tuple[list[str], int]:
    """The nodes that `make repro` runs up to `collect`, and the number of photos it saw."""
    result = run([sys.executable, "-m", "stages", "collect"], project)
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads((project / "artifacts/collect/summary.json").read_text("utf-8"))
    return nodes_run(result.stdout), summary["photos"]


def test_a_photo_added_to_the_bucket_reruns_the_first_node_once(imported, storage, tmp_path):
    assert collect(imported) == (["collect"], 27)
    assert collect(imported) == ([], 27)
    # A store of one's own keeps what was imported; the bucket of photos goes its own way.
    add_store(imported, "kept", storage)
    dvc(imported, "push")
    commit(imported)

    draw_photo((200, 30, 30), 555).save(tmp_path / "new.png")
    storage.upload(tmp_path / "new.png", "photos/train/asta/new.png")
    assert collect(imported) == ([], 27)  # until asked to, nobody looks into the bucket
    dvc(imported, "update", "Datasets/train.dvc", "Datasets/test.dvc")
    assert git(imported, "status", "--short").split() == ["M", "Datasets/train.dvc"]
    assert collect(imported) == (["collect"], 28)
    dvc(imported, "update", "Datasets/train.dvc", "Datasets/test.dvc")
    assert collect(imported) == ([], 28)

    old = clone(imported, tmp_path / "clone")
    dvc(old, "pull", "Datasets/train.dvc", "Datasets/test.dvc")
    assert len(contents(old / "Datasets")) == 27 + len(git(old, "ls-files", "Datasets").split())


def test_storage_that_is_not_there_is_told_in_words(stored, tmp_path):
    new = clone(stored, tmp_path / "clone")
    dvc(new, "remote", "modify", "--local", "store", "url", "s3://misspelt/path")
    result = try_dvc(new, "pull")
    assert result.returncode != 0
    assert "The specified bucket does not exist" in result.stderr
    assert "Traceback" not in result.stderr

    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        dvc(new, "remote", "modify", "--local", "store", "endpointurl", address)
        # One attempt: without it, boto tries again and again for a minute and a half.
        result = try_dvc(new, "pull", env={"AWS_MAX_ATTEMPTS": "1"})
    assert result.returncode != 0
    assert f'Could not connect to the endpoint URL: "{address}' in result.stderr
    assert "Traceback" not in result.stderr
    assert not (new / "Datasets" / "train").exists()
