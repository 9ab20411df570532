"""Photos in one folder per predicted brand, as links or copies; the photos stay where they are."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from carbrand.node.errors import UserError

UNKNOWN = "unknown"


class BrandFolders:
    """The folders that are being filled."""

    def __init__(self, folder: Path, copy: bool) -> None:
        self._folder, self._copy = folder, copy
        self._taken: set[tuple[str, str]] = set()

    def place(self, photo: str, name: str) -> None:
        """Put a link to the photo, or a copy, into the folder `name`. Raises UserError."""
        target = self._folder / name / self._free_name(name, PurePath(photo))
        target.parent.mkdir(exist_ok=True)
        if self._copy:
            shutil.copy2(photo, target)
            return
        try:
            target.symlink_to(os.path.abspath(photo))  # noqa: PTH100 — follows no link
        except (OSError, NotImplementedError):
            raise UserError(
                f"No links can be made in {self._folder.parent}. Give --copy to copy the photos."
            ) from None

    def _free_name(self, folder: str, photo: PurePath) -> str:
        """The photo's name; with a number if the folder has that name, in any spelling of it."""
        name, number = photo.name, 1
        while (key := (folder, unicodedata.normalize("NFC", name).casefold())) in self._taken:
            number += 1
            name = f"{photo.stem}-{number}{photo.suffix}"
        self._taken.add(key)
        return name


def name_unknown(brands: Sequence[str]) -> str:
    """The name of the folder of unknown photos, which is no brand's."""
    name = UNKNOWN
    while name.casefold() in {brand.casefold() for brand in brands}:
        name = f"_{name}"
    return name


def check_folder(folder: Path) -> None:
    """Raise UserError unless the folder is new or empty: nothing in it is mixed or replaced."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} is there already. Give --sort a new folder, or delete that one.")


@contextmanager
def brand_folders(folder: Path, brands: Sequence[str], copy: bool) -> Iterator[BrandFolders]:
    """Yield the folders to fill; they become `folder` at the end. Raises UserError."""
    for brand in brands:
        if brand in ("", ".", "..") or set(brand) & set("/\\\0"):
            raise UserError(f"The model has a brand {brand!r}, which can be no folder's name.")
    temporary = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    temporary.mkdir(parents=True)
    try:
        yield BrandFolders(temporary, copy)
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
