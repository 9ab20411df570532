"""Lists the files of a split: a folder that holds one folder per brand."""

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
    """A file in a split's folder. brand: its brand folder, or empty for a file outside of those."""

    path: str
    split: str
    brand: str

    inside: tuple[str, ...] = ()
    """The parts of the path relative to the split's folder, with the file name."""

    @property
    def is_hidden(self) -> bool:
        """Whether it is a hidden or system file, or inside a folder of that kind."""
        return is_hidden(self.inside)

    @property
    def suffix(self) -> str:
        """The suffix in lower case, with its dot; empty if there is none."""
        return os.path.splitext(self.path)[1].lower()  # noqa: PTH122 — a Path per file is slower

    @property
    def has_photo_suffix(self) -> bool:
        """Whether its name has the suffix of a format that is read. The content may be anything."""
        return self.suffix in SUFFIXES and not self.is_hidden

    @property
    def is_photo(self) -> bool:
        """Whether it has the suffix of a photo and is in a brand folder."""
        return bool(self.brand) and self.has_photo_suffix

    @property
    def has_unsupported_suffix(self) -> bool:
        """Whether its name has the suffix of a photo format that is not read."""
        return self.suffix in UNSUPPORTED_SUFFIXES and not self.is_hidden

    @property
    def is_unsupported_photo(self) -> bool:
        """Whether it has the suffix of a format that is not read, and is in a brand folder."""
        return bool(self.brand) and self.has_unsupported_suffix


@dataclass(frozen=True)
class SplitFolder:
    """The content of one split's folder. links: paths of symbolic links to folders."""

    folder: Path
    files: list[FoundFile]
    brands: list[str]
    links: list[str]


def find_files(folder: Path, split: str) -> list[FoundFile]:
    """All files below `folder`, sorted by path (relative or absolute as `folder` is).

    Links to folders are not followed. Raises UserError if a folder cannot be read.
    """
    return walk(folder, split).files


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether a part of the path begins with a dot or is one of SYSTEM_FILES."""
    return any(part[0] == "." or part.lower() in SYSTEM_FILES for part in parts)


def walk(folder: Path, split: str) -> SplitFolder:
    """List the folder of one split; see `find_files`."""
    unreadable: list[OSError] = []
    tree = SplitFolder(folder, [], [], [])
    for parent, names_of_folders, names in os.walk(folder, onerror=unreadable.append):
        parts = Path(parent).relative_to(folder).parts
        brand = parts[0] if parts else ""
        # "" for the folder ".". String concatenation, because a Path per file is slow.
        prefix = (Path(parent) / "x").as_posix()[:-1]
        tree.files.extend(FoundFile(prefix + name, split, brand, (*parts, name)) for name in names)
        seen = [name for name in names_of_folders if not is_hidden((*parts, name))]
        tree.links.extend(prefix + name for name in seen if Path(parent, name).is_symlink())
        if not parts:
            tree.brands.extend(sorted(seen))
    if unreadable:
        raise UserError(
            *(f"{e.filename} cannot be read ({e.strerror}). Make it readable." for e in unreadable)
        )
    tree.files.sort(key=attrgetter("path"))
    tree.links.sort()
    return tree


def walk_splits(folders: Mapping[str, Path]) -> dict[str, SplitFolder]:
    """List the folders of all splits. Raises UserError with all problems."""
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
