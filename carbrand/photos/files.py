"""The files in folders of photos: one folder per split, in it one per brand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.photos.decode.formats import UNSUPPORTED_SUFFIXES
from carbrand.photos.photo import SUFFIXES

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"})


@dataclass(frozen=True, order=True, slots=True)
class FoundFile:
    """A file under a split's folder. `brand` is its top folder, empty for a file beside them."""

    path: str
    split: str
    brand: str

    inside: tuple[str, ...] = ()
    """The parts of the path below the split's folder, the name included."""

    @property
    def is_hidden(self) -> bool:
        """Files, and files in folders, that operating systems and tools leave behind."""
        return is_hidden(self.inside)

    @property
    def suffix(self) -> str:
        """The ending of the name in lower case, with its dot; empty where there is none."""
        return os.path.splitext(self.path)[1].lower()  # noqa: PTH122 — a Path per file costs more

    @property
    def has_photo_suffix(self) -> bool:
        """Whether it claims to be a photo; whether it can be read is another matter."""
        return self.suffix in SUFFIXES and not self.is_hidden

    @property
    def is_photo(self) -> bool:
        """Named like a photo, and in the folder of a brand."""
        return bool(self.brand) and self.has_photo_suffix

    @property
    def has_unsupported_suffix(self) -> bool:
        """Whether its name is that of a photo in a format that is not read."""
        return self.suffix in UNSUPPORTED_SUFFIXES and not self.is_hidden

    @property
    def is_unsupported_photo(self) -> bool:
        """In the folder of a brand, and named like a photo of a format that is not read."""
        return bool(self.brand) and self.has_unsupported_suffix


@dataclass(frozen=True)
class SplitFolder:
    """One split's folder, walked once. `links` are paths of folders elsewhere."""

    folder: Path
    files: list[FoundFile]
    brands: list[str]
    links: list[str]


def find_files(folder: Path, split: str) -> list[FoundFile]:
    """Every file under `folder`, sorted by path; paths with forward slashes, as `folder` is given.

    Folders inside a brand's folder belong to that brand. Links to folders are not followed.
    Raises UserError for folders that cannot be read: what is in them must not go unnoticed.
    """
    return walk(folder, split).files


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether a path has a part that operating systems and tools leave behind."""
    return any(part[0] == "." or part.lower() in SYSTEM_FILES for part in parts)


def walk(folder: Path, split: str) -> SplitFolder:
    unreadable: list[OSError] = []
    tree = SplitFolder(folder, [], [], [])
    for parent, names_of_folders, names in os.walk(folder, onerror=unreadable.append):
        parts = Path(parent).relative_to(folder).parts
        brand = parts[0] if parts else ""
        # Of the path of a file in ".", nothing precedes its name. A Path per file would be slow.
        prefix = (Path(parent) / "x").as_posix()[:-1]
        tree.files.extend(FoundFile(prefix + name, split, brand, (*parts, name)) for name in names)
        seen = [name for name in names_of_folders if not is_hidden((*parts, name))]
        tree.links.extend(prefix + name for name in seen if Path(parent, name).is_symlink())
        if not parts:
            tree.brands.extend(sorted(seen))
    if unreadable:
        raise UserError(
            *(f"{e.filename} cannot be read ({e.strerror}). Mend its rights." for e in unreadable)
        )
    tree.files.sort(key=attrgetter("path"))
    tree.links.sort()
    return tree


def walk_splits(folders: Mapping[str, Path]) -> dict[str, SplitFolder]:
    trees = {}
    problems: list[str] = []
    for split, folder in folders.items():
        try:
            trees[split] = walk(folder, split)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return trees
