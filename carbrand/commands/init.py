"""`carbrand init`: a project of one's own without a clone, and bringing one to a newer carbrand."""

from __future__ import annotations

import argparse
import shlex
import shutil
from pathlib import Path
from typing import Any

from carbrand.checks.layout import STRICT, check_layout
from carbrand.commands.preflight import FOLDERS, TABLES
from carbrand.node.code import CODE_FILE
from carbrand.node.errors import DONE, UserError
from carbrand.node.files.atomic import full_disk_named
from carbrand.node.origin import version_of
from carbrand.node.progress import track
from carbrand.node.terminal import print_line, print_lines, print_note
from carbrand.node.wording import count
from carbrand.photos.folders.files import find_files
from carbrand.photos.folders.links import describe_refused, find_refused
from carbrand.pipeline.own_project.creation import check_free, create, finish
from carbrand.pipeline.own_project.update import update_project

CONFLICTS = 1
# What params.yaml of the project may allow.
_LEFT_TO_PARAMS = {"missing_brand": "exclude", "similar_names": "warn"}


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "init",
        help="make a project, or bring one to the installed version",
        description="Make a DVC project in a folder: params.yaml, dvc.yaml, workflows and a "
        "Makefile; its code is the installed carbrand. With --update, bring a project to the "
        "installed version, keep what was changed in it, and print the difference. Exit status: 0 "
        "done, 1 an update left conflicts to resolve, 2 error.",
    )
    parser.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="with --update by default the current folder"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--photos",
        type=Path,
        metavar="PHOTOS",
        help="a folder with train/<brand>/ and test/<brand>/; its photos are copied",
    )
    how.add_argument("--update", action="store_true", help="bring a project to this version")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make or update a project; the exit status is 0, or CONFLICTS."""
    version = version_of("carbrand")
    if not arguments.folder and not arguments.update:
        raise UserError("Name the folder of the new project: `carbrand init FOLDER`.")
    folder = Path(arguments.folder or "")
    return (
        _update(folder, version) if arguments.update else _make(folder, version, arguments.photos)
    )


def _make(folder: Path, version: str, photos: Path | None) -> int:
    check_free(folder, version)
    if photos:
        _check_photos(photos, folder)
    create(folder, version, {path.as_posix(): _table(path, photos) for path in TABLES})
    if photos:
        _copy_photos(photos, folder)
    finish(folder, version)
    print_line(f"{folder.resolve()} is a project of carbrand {version}.")
    if not photos:
        print_line("Put photos into Datasets/train/<brand>/ and Datasets/test/<brand>/ in it.")
    first = f"cd {shlex.quote(str(folder))} && " if folder.resolve() != Path.cwd() else ""
    print_line(f"Next: {first}dvc repro")
    return DONE


def _table(path: Path, photos: Path | None) -> str:
    """What a person said of the photos, if it lies beside them; else an empty table."""
    beside = photos / path.name if photos else None
    return beside.read_text("utf-8") if beside and beside.is_file() else TABLES[path]


def _check_photos(photos: Path, folder: Path) -> None:
    """Raise UserError unless the photos can be used, and copied without overwriting others."""
    splits = {split: photos / split for split in FOLDERS}
    places = tuple(splits.values())
    refused = {path: why for place in places for path, why in find_refused(place, places).items()}
    problems = describe_refused(refused) or check_layout(splits, STRICT | _LEFT_TO_PARAMS)
    if problems:
        raise UserError(*problems)
    there = [folder / place for place in FOLDERS.values() if any((folder / place).glob("*"))]
    if there and not (folder / CODE_FILE).exists():  # else what was interrupted is finished
        raise UserError(f"{there[0]} has photos already. Move them away, or leave --photos out.")


def _copy_photos(photos: Path, folder: Path) -> None:
    for split, place in FOLDERS.items():
        files = find_files(photos / split, split)
        for file in track(files, f"Copying {split} photos", len(files)):
            target = (folder / place).joinpath(*file.inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            with full_disk_named(target):
                shutil.copyfile(file.path, target)


def _update(folder: Path, version: str) -> int:
    changes = update_project(folder, version)
    for change in changes:
        print_lines("\n".join(change.diff()).expandtabs())
    print_line(f"{folder.resolve()} is at carbrand {version}. `dvc status` says what runs again.")
    conflicts = {change.path: change.conflicts for change in changes if change.conflicts}
    for path, number in conflicts.items():
        print_note(
            f"{path}: {count(number, 'conflict')} between your changes and those of carbrand "
            f"{version}. Keep one side of each, between <<<<<<< and >>>>>>>."
        )
    return CONFLICTS if conflicts else DONE
