"""A new project in a folder: what was interrupted is finished by the same command."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from carbrand.node.code import CODE_FILE
from carbrand.node.errors import UserError
from carbrand.node.files.atomic import write_atomically
from carbrand.node.wording import first_few
from carbrand.pipeline.dvc_files import DVC_YAML
from carbrand.pipeline.dvc_settings import set_option
from carbrand.pipeline.git import Repository
from carbrand.pipeline.own_project.base import BASE_FILE, write_base
from carbrand.pipeline.own_project.derived import installed_code, project_files

# Whoever has one keeps it: nothing reads it.
_README = "README.md"
_MOST_NAMES = 3


def check_free(folder: Path, version: str) -> None:
    """Raise UserError unless a project can be made in the folder without overwriting anything."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, expected a folder. Give another name.")
    if (folder / BASE_FILE).exists():
        raise UserError(
            f"{folder} is a project of carbrand already. `carbrand init --update` in it brings it "
            f"to carbrand {version}."
        )
    if _is_ignored(folder.resolve()):
        raise UserError(
            f"Git ignores {folder}, and DVC refuses to work there. Choose another folder."
        )
    files = project_files(version) | {_README: ""}
    clashes = [
        name
        for name, text in sorted(files.items())
        if text and (folder / name).exists() and (folder / name).read_bytes() != text.encode()
    ]
    if clashes:
        raise UserError(
            f"{folder} has files that a project needs to be others: "
            f"{first_few(clashes, _MOST_NAMES)}. Move them away, or choose another folder."
        )


def create(folder: Path, version: str, tables: Mapping[str, str]) -> None:
    """Write what is missing of a project, but for what `finish` writes.

    tables: texts of files that the user fills in, by path.
    """
    for name in ("Datasets/train", "Datasets/test"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    files = project_files(version) | {CODE_FILE: installed_code()} | dict(tables)
    for name, text in files.items():
        if name != DVC_YAML and not (folder / name).exists():
            write(folder / name, text)
    if any((place / ".git").exists() for place in (folder.resolve(), *folder.resolve().parents)):
        return
    if shutil.which("git"):
        Repository(folder).run("init", "--quiet", "--initial-branch=main")
    else:  # else DVC refuses to run outside of Git
        set_option(folder / ".dvc" / "config.local", "core", "no_scm", "true")


def _is_ignored(folder: Path) -> bool:
    above = next(place for place in (folder, *folder.parents) if place.is_dir())
    try:
        return bool(Repository(above).run("check-ignore", str(folder / "dvc.yaml")))
    except UserError:  # it does not, there is no repository, or no Git
        return False


def finish(folder: Path, version: str) -> None:
    """Write dvc.yaml, without which nothing can run, and the mark of a whole project."""
    files = project_files(version)
    write(folder / DVC_YAML, files[DVC_YAML])
    write_base(folder, files)


def write(path: Path, text: str) -> None:
    """Write a text atomically, and its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode("utf-8", "surrogateescape"))
