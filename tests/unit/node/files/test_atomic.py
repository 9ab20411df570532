"""What is written is there whole or not at all, and nothing is left beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbrand.node.files.atomic import (
    atomic_file,
    replace_folder,
    temporary_folder,
    write_atomically,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_holds_what_it_held_until_all_of_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "dvc.lock"
    write_atomically(file, b"old")

    def write_half() -> None:
        with atomic_file(file) as temporary:
            temporary.write_bytes(b"ne")
            assert file.read_bytes() == b"old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert file.read_bytes() == b"old"
    write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
    assert names(tmp_path) == ["dvc.lock"]


def test_what_a_killed_process_left_of_a_file_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".dvc.lock.unfinished").write_bytes(b"half of something long")
    write_atomically(tmp_path / "dvc.lock", b"new")
    assert (tmp_path / "dvc.lock").read_bytes() == b"new"
    assert names(tmp_path) == ["dvc.lock"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "export"
    for content in ("first", "second"):
        with temporary_folder(target) as new:
            (new / content).write_text(content, "utf-8")
            replace_folder(target, new)
        assert names(target) == [content]
    assert names(tmp_path) == ["export"]


def test_a_folder_stays_where_the_new_one_is_not_put_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "export"
    target.mkdir()
    (target / "old").touch()
    with temporary_folder(target) as new:
        (new / "no good").touch()
    assert names(target) == ["old"]
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if path.name == "new":
            raise OSError("no")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="no"), temporary_folder(target) as new:
        replace_folder(target, new)
    assert names(target) == ["old"]
    assert names(tmp_path) == ["export"]
