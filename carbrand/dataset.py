"""Photos in one folder per brand: what lies there, and whether a classifier can be made of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.errors import UserError
from carbrand.photo import SUFFIXES

SPLITS = ("train", "test")
# A brand needs one photo to learn from and one to validate on.
MIN_TRAIN_PHOTOS = 2
LEFT_BEHIND = frozenset({"thumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"})


@dataclass(frozen=True, order=True)
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
        return any(part[0] == "." or part.lower() in LEFT_BEHIND for part in self.inside)

    @property
    def is_named_like_a_photo(self) -> bool:
        """Whether it claims to be a photo; whether it can be read is another matter."""
        return not self.is_hidden and Path(self.path).suffix.lower() in SUFFIXES

    @property
    def is_photo(self) -> bool:
        """Named like a photo, and in the folder of a brand."""
        return bool(self.brand) and self.is_named_like_a_photo


def find_files(folder: Path, split: str) -> list[FoundFile]:
    """Every file under `folder`, sorted by path; paths with forward slashes, as `folder` is given.

    Folders inside a brand's folder belong to that brand. Links to folders are not followed.
    Raises UserError for folders that cannot be read: what is in them must not go unnoticed.
    """
    unreadable: list[OSError] = []
    found = []
    for parent, _, names in os.walk(folder, onerror=unreadable.append):
        parts = Path(parent).relative_to(folder).parts
        brand = parts[0] if parts else ""
        found += [
            FoundFile((Path(parent) / name).as_posix(), split, brand, (*parts, name))
            for name in names
        ]
    if unreadable:
        raise UserError(
            *(f"{e.filename} cannot be read ({e.strerror}). Mend its rights." for e in unreadable)
        )
    return sorted(found)


def find_brands(folder: Path) -> list[str]:
    """The names of the brand folders in `folder`, sorted; hidden folders are none."""
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and entry.name[0] != "." and entry.name.lower() not in LEFT_BEHIND
    )


def check_layout(folders: Mapping[str, Path]) -> list[str]:
    """What is wrong with the folders of the splits, a line each; no photo is opened.

    `folders` maps each of SPLITS to its folder.
    """
    missing = [
        f"{folder} does not exist. Put photos into {folder}/<brand>/, one folder per brand."
        for folder in folders.values()
        if not folder.is_dir()
    ]
    if missing:
        return missing
    brands = {split: find_brands(folder) for split, folder in folders.items()}
    # Each kind of problem would only be echoed by those after it.
    return (
        _names_and_links(folders)
        or _too_few_brands(folders, brands)
        or [
            *_one_split_only(folders, brands),
            *(
                line
                for split, folder in folders.items()
                for line in check_counts(folder, split, _count_photos(folder, split, brands[split]))
            ),
        ]
    )


def check_counts(folder: Path, split: str, photos: Mapping[str, int]) -> list[str]:
    """A line for every brand in `photos` (brand → number) that has too few of them."""
    problems = []
    for brand, count in photos.items():
        if count == 0:
            problems.append(
                f"{folder}/{brand} holds no photo that can be used. "
                f"Add some ({', '.join(sorted(SUFFIXES))}), or remove the folder from every split."
            )
        elif split == "train" and count < MIN_TRAIN_PHOTOS:
            problems.append(
                f"{folder}/{brand} holds {count} photo that can be used, expected at least "
                f"{MIN_TRAIN_PHOTOS}: one to learn from and one to validate on. Add photos."
            )
    return problems


def _names_and_links(folders: Mapping[str, Path]) -> list[str]:
    """Paths that DVC cannot store, and brands that are a link: neither may be passed over."""
    problems = []
    for split, folder in folders.items():
        for file in find_files(folder, split):
            try:
                file.path.encode("utf-8")
            except UnicodeEncodeError:
                shown = file.path.encode("utf-8", "backslashreplace").decode()
                problems.append(f"{shown}: the name is no UTF-8, which DVC needs. Rename it.")
        problems += [
            f"{folder}/{brand} is a link to a folder, which is not followed. Copy the folder here."
            for brand in find_brands(folder)
            if (folder / brand).is_symlink()
        ]
    return problems


def _too_few_brands(folders: Mapping[str, Path], brands: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"{folders[split]} holds {len(names)} brand folder{'s' * (len(names) != 1)}"
        f"{' (' + ', '.join(names) + ')' if names else ''}, expected at least 2. "
        f"Put photos into {folders[split]}/<brand>/, one folder per brand."
        for split, names in brands.items()
        if len(names) < 2
    ]


def _one_split_only(folders: Mapping[str, Path], brands: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"{folders[split]}/{brand} does not exist, but the brand `{brand}` is in {folders[other]}. "
        f"Add its photos, or remove {folders[other]}/{brand}."
        for split, other in (SPLITS, SPLITS[::-1])
        for brand in sorted(set(brands[other]) - set(brands[split]))
    ]


def _count_photos(folder: Path, split: str, brands: Sequence[str]) -> dict[str, int]:
    counts = dict.fromkeys(brands, 0)
    for file in find_files(folder, split):
        if file.is_photo:
            counts[file.brand] += 1
    return counts
