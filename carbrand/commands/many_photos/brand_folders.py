"""Photos in one folder per predicted brand, as links or copies; the photos stay where they are."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterable
from itertools import count
from pathlib import Path, PurePath

from carbrand.node.errors import UserError


def name_unknown(brands: Iterable[str]) -> str:
    """The name of the folder of unknown photos, which is no brand's."""
    taken = {brand.casefold() for brand in brands}
    return next(name for n in count() if (name := f"{'_' * n}unknown") not in taken)


def check_folder(folder: Path) -> None:
    """Raise UserError unless the folder is new or empty: nothing in it is mixed or replaced."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} is there already. Give --sort a new folder, or delete that one.")


def sort_photos(folder: Path, places: Iterable[tuple[str, str]], copy: bool) -> None:
    """Make `folder`, with a link to each photo, or a copy, in a folder of the given name.

    places: paths of photos, and the names. Raises UserError.
    """
    new = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
    new.mkdir(parents=True)
    taken: set[tuple[str, str]] = set()
    for photo, name in places:
        if name in (".", "..") or set(name) & set("/\\\0"):
            raise UserError(f"The model has a brand {name!r}, which can be no folder's name.")
        target = new / name / _free_name(name, PurePath(photo), taken)
        target.parent.mkdir(exist_ok=True)
        (shutil.copy2 if copy else _link)(photo, target)
    if folder.exists():
        folder.rmdir()
    new.rename(folder)


def _link(photo: str, target: Path) -> None:
    try:
        target.symlink_to(os.path.abspath(photo))  # noqa: PTH100 — follows no link
    except OSError:
        raise UserError("This disk has no links. Give --copy, which copies the photos.") from None


def _free_name(folder: str, photo: PurePath, taken: set[tuple[str, str]]) -> str:
    """The photo's name; with a number if the folder has that name, in any spelling of it."""
    names = (f"{photo.stem}-{n}{photo.suffix}" if n > 1 else photo.name for n in count(1))
    for name in names:
        key = (folder, unicodedata.normalize("NFC", name).casefold())
        if key not in taken:
            taken.add(key)
            return name
    raise AssertionError  # there is always another number
