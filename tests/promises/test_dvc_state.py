"""DVC's notes lie where nobody else can write: what others put into the usual place is not read."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from carbrand.node.errors import UserError
from carbrand.pipeline import dvc_settings
from carbrand.pipeline.dvc_settings import SITE_CACHE, environment, private_site_cache
from carbrand.release.retrain.dvc_commands import Dvc
from tests.conftest import run
from tests.support.toy import MODEL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")

WHERE = "from dvc.repo import Repo; print(Repo('.').site_cache_dir)"


class Command:
    """Pickled, a command that runs when it is read."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def poison(project: Path, mark: Path) -> None:
    """Put commands into the notes that a plain `dvc` keeps of a project, as other users could."""
    assert run(["dvc", "status"], project).returncode == 0
    (notes,) = run([sys.executable, "-c", WHERE], project).stdout.split()
    data = pickle.dumps(Command(f"echo ran >> '{mark}'"), 4)
    changed = 0
    for file in Path(notes).rglob("cache.db"):
        with sqlite3.connect(file) as database:
            row = "mode = 4, filename = NULL, value = ?"
            changed += database.execute(f"UPDATE Cache SET {row}", [data]).rowcount
            columns = "key, raw, mode, value, size, store_time, access_time, access_count"
            database.execute(
                f"INSERT INTO Cache ({columns}) VALUES (?, 0, 4, ?, 0, 0, 0, 0)", [data, data]
            )
        database.close()
    assert changed


@pytest.fixture
def mark(toy: Path, tmp_path: Path) -> Path:
    """A file that is there once one of the commands ran."""
    path = tmp_path / "mark"
    poison(toy, path)
    return path


def test_make_repro_and_the_loop_read_no_notes_of_others(toy: Path, mark: Path) -> None:
    model = toy / MODEL
    model.unlink()
    done = run([sys.executable, "-m", "stages"], toy)
    assert done.returncode == 0, done.stderr
    assert model.exists()
    model.unlink()
    Dvc(toy).run("dvc", "checkout", "-q")
    assert model.exists()
    assert not mark.exists()


def test_the_folder_that_is_printed_is_one_for_a_plain_dvc(toy: Path, mark: Path) -> None:
    printed = run([sys.executable, "-m", "carbrand.pipeline.dvc_settings"], toy).stdout.strip()
    done = run(["dvc", "checkout"], toy, {SITE_CACHE: printed})
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
    run(["dvc", "checkout"], toy)
    assert mark.exists(), "a plain `dvc` is not what this test takes it for"


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Stands for /var/tmp."""
    folder = tmp_path / "var-tmp"
    folder.mkdir()
    monkeypatch.setattr(dvc_settings, "_LOCAL", folder)
    monkeypatch.delenv(SITE_CACHE, raising=False)
    for level in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"DVC_{level}_CONFIG_DIR", str(tmp_path / level))
    return folder


needs_unix = pytest.mark.skipif(sys.platform == "darwin", reason="notes are in ~/Library there")


@needs_unix
def test_the_folder_is_closed_whatever_the_umask(local: Path, tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        folder = Path(private_site_cache(tmp_path)[SITE_CACHE])
    finally:
        os.umask(umask)
    assert folder.parent == local
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_site_cache(tmp_path)[SITE_CACHE] == str(folder)


@needs_unix
@pytest.mark.parametrize("kind", ["open", "link", "file", "another's"])
def test_a_folder_that_somebody_else_made_first_is_not_taken(
    local: Path, tmp_path: Path, kind: str
) -> None:
    theirs = local / f"dvc-of-{os.geteuid()}"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        theirs.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        theirs.write_text("")
    else:
        theirs.mkdir(mode=0o700)
        if kind == "open":
            theirs.chmod(0o770)
        elif os.geteuid() == 0:
            os.chown(theirs, 12345, 12345)
        else:
            pytest.skip("only root can give folders away")
    folder = Path(private_site_cache(tmp_path)[SITE_CACHE])
    assert folder.parent == tmp_path / ".dvc" / "tmp"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@needs_unix
def test_where_no_folder_is_closed_one_line_says_so(local: Path, tmp_path: Path) -> None:
    local.rmdir()
    local.write_text("no folder")
    (tmp_path / ".dvc").write_text("no folder")
    with pytest.raises(UserError, match="closed to others"):
        private_site_cache(tmp_path)


def test_a_folder_that_the_user_chose_is_left_to_them(
    local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "GLOBAL" / "config"
    config.parent.mkdir()
    config.write_text("[core]\n    site_cache_dir = /somewhere\n")
    assert private_site_cache(tmp_path) == {}
    shutil.rmtree(config.parent)
    monkeypatch.setenv(SITE_CACHE, "/elsewhere")
    assert private_site_cache(tmp_path) == {}
    assert environment(tmp_path)[SITE_CACHE] == "/elsewhere"
    assert not list(local.iterdir())
