"""The folder layout: one folder per brand in each split, with enough brands and photos."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.checks.brand_names import check_brand_names
from carbrand.checks.portable_names import find_unportable
from carbrand.node.errors import UserError
from carbrand.node.wording import first_few, one_line, plain_count
from carbrand.photos.decode.heif_file import HEIC_SUFFIXES
from carbrand.photos.folders.files import FoundFile, SplitFolder, walk_splits
from carbrand.photos.folders.folder_findings import (
    SHOWN,
    FolderFinding,
    RatedFinding,
    error_lines,
    excluded_brands,
    rate_findings,
)
from carbrand.photos.photo import SUFFIXES
from carbrand.photos.severities import MIN_TRAIN_PHOTOS

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
# Common names of split folders.
OTHER_NAMES = {
    "train": frozenset({"train", "training", "trn"}),
    "test": frozenset({"test", "testing", "tst", "val", "valid", "validation", "eval"}),
}
# Severities for when params.yaml is not known.
STRICT = {
    "no_brand": "warn",
    "missing_brand": "error",
    "similar_names": "error",
    "unportable_name": "warn",
}


@dataclass(frozen=True)
class Dataset:
    """The files of both splits.

    files: sorted by path in each split, train first. brands: split → names of its brand folders,
    sorted. findings: those that need no photo to be opened.
    """

    files: list[FoundFile]
    brands: dict[str, list[str]]
    findings: list[FolderFinding]

    @property
    def shared_brands(self) -> list[str]:
        """The brands that every split has, sorted."""
        return sorted(set.intersection(*map(set, self.brands.values())))


def find_dataset(folders: Mapping[str, Path], severities: Mapping[str, str]) -> Dataset:
    """List the files of all splits and check the layout. Opens no photo.

    folders: split → folder. severities: at least those of `no_brand`, `missing_brand`,
    `similar_names` and `unportable_name`. Raises UserError with one line per problem.
    """
    problems = [line for split, folder in folders.items() for line in _not_there(folder, split)]
    if problems:
        raise UserError(*problems)
    trees = walk_splits(folders)
    brands = {split: tree.brands for split, tree in trees.items()}
    dataset = Dataset(
        [file for tree in trees.values() for file in tree.files],
        brands,
        [
            *(finding for tree in trees.values() for finding in _find_loose(tree)),
            *check_brand_names(brands, folders),
            *(finding for tree in trees.values() for finding in _find_unportable(tree)),
        ],
    )
    # Problems of one kind would cause those of the next.
    problems = (
        [line for tree in trees.values() for line in _names_and_links(tree)]
        or [line for tree in trees.values() for line in _wrong_level(tree, folders)]
        or _not_enough(dataset, folders, rate_findings(dataset.findings, severities))
    )
    if problems:
        raise UserError(*problems)
    return dataset


def check_layout(folders: Mapping[str, Path], severities: Mapping[str, str] = STRICT) -> list[str]:
    """The problems for which `find_dataset` raises, one line each."""
    try:
        find_dataset(folders, severities)
    except UserError as error:
        return list(error.problems)
    return []


def check_counts(
    folder: Path, split: str, photos: Mapping[str, int], instead: Mapping[str, str] | None = None
) -> list[str]:
    """One line for every brand that has too few photos. photos: brand → number.

    instead: brand → what its folder holds instead of photos, in words.
    """
    problems = []
    for brand, count in photos.items():
        place = f"{folder}/{one_line(brand)}"
        if count == 0:
            held = (instead or {}).get(brand, "")
            problems.append(
                f"{place} holds no usable photo{held and f' ({held})'}. "
                f"Add some ({', '.join(sorted(SUFFIXES))}), or remove the folder from every split."
            )
        elif split == "train" and count < MIN_TRAIN_PHOTOS:
            problems.append(
                f"{place} holds {count} usable photo, expected at least "
                f"{MIN_TRAIN_PHOTOS}: one to train on and one to validate on. Add photos."
            )
    return problems


def _not_there(folder: Path, split: str) -> Iterator[str]:
    """One line if the folder of a split is missing, with a folder that may be meant."""
    if folder.is_dir():
        return
    if folder.exists():
        yield f"{folder} is a file, expected a folder. Put photos into {folder}/<brand>/."
        return
    meant = [
        entry.name
        for entry in (sorted(folder.parent.iterdir()) if folder.parent.is_dir() else [])
        if entry.is_dir() and entry.name.lower() in OTHER_NAMES[split]
    ]
    state = "is a broken link" if folder.is_symlink() else "does not exist"
    yield f"{folder} {state}. " + (
        f"Rename {folder.parent / meant[0]} if it is that one."
        if meant
        else f"Put photos into {folder}/<brand>/, one folder per brand."
    )


def _names_and_links(tree: SplitFolder) -> Iterator[str]:
    """Paths that DVC cannot store, and links to folders."""
    for file in tree.files:
        try:
            file.path.encode("utf-8")
        except UnicodeEncodeError:
            shown = file.path.encode("utf-8", "backslashreplace").decode()
            yield f"{shown}: the name is not valid UTF-8, which DVC needs. Rename it."
    for link in tree.links:
        yield f"{link} is a link to a folder, which is not followed. Copy the folder here."


def _wrong_level(tree: SplitFolder, folders: Mapping[str, Path]) -> Iterator[str]:
    """Brand folders that are one level too deep or too high."""
    folder, brands = tree.folder, tree.brands
    inside = _folders_inside(tree)
    nested = [brand for brand in brands if len(inside[brand]) > 1 and "" not in inside[brand]]
    if len(brands) < 2:
        yield (
            f"{folder} holds {plain_count(len(brands), 'brand folder')}"
            f"{' (' + one_line(brands[0]) + ')' if brands else ''}, expected at least 2. "
            + (
                f"If {_some(inside[nested[0]])} in {folder}/{one_line(nested[0])} are the brands, "
                f"move them up into {folder}."
                if nested
                else f"{_beside(tree)}Put photos into {folder}/<brand>/, one folder per brand."
            )
        )
        return
    splits = {name: split for split, names in OTHER_NAMES.items() for name in names}
    for brand in nested:
        # A brand may be called `train` (locomotives), so check the other folders too.
        others = set(brands) - {brand}
        if brand.lower() in splits and (
            {other.lower() for other in others} <= splits.keys() or others & inside[brand].keys()
        ):
            yield (
                f"{folder}/{one_line(brand)} is a split, not a brand: it holds "
                f"{_some(inside[brand])}. Move them into {folders[splits[brand.lower()]]}."
            )


def _folders_inside(tree: SplitFolder) -> defaultdict[str, Counter[str]]:
    """Brand → number of photos in each of its subfolders; "" for those directly in it."""
    inside: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file in tree.files:
        if file.is_photo:
            inside[file.brand][file.inside[1] if len(file.inside) > 2 else ""] += 1
    return inside


def _beside(tree: SplitFolder) -> str:
    """Photos and archives beside the brand folders, in words."""
    loose = _loose_photos(tree)
    archives = [file.inside[-1] for file in tree.files if not file.brand and _is_archive(file)]
    return (f"There are {loose}. " if loose else "") + (
        f"Unpack {_some(archives)}. " if archives else ""
    )


def _is_archive(file: FoundFile) -> bool:
    return file.suffix in ARCHIVES and not file.is_hidden


def _some(names: Iterable[str]) -> str:
    """The first SHOWN of the sorted names, and how many more there are."""
    return first_few([one_line(name) for name in sorted(names)], SHOWN)


def _find_loose(tree: SplitFolder) -> list[FolderFinding]:
    """`no_brand`: photos beside the brand folders."""
    loose = _loose_photos(tree)
    if not loose:
        return []
    message = f"{tree.folder} holds {loose}. Move them into {tree.folder}/<brand>/, or remove them."
    return [FolderFinding("no_brand", str(tree.folder), message)]


def _find_unportable(tree: SplitFolder) -> list[FolderFinding]:
    """`unportable_name`: files that another operating system cannot store."""
    names = find_unportable(file.inside for file in tree.files if not file.is_hidden)
    if not names:
        return []
    message = f"{tree.folder} holds names that not every system can store: {_some(names)}. "
    message += "Rename them."
    return [FolderFinding("unportable_name", str(tree.folder), message)]


def _loose_photos(tree: SplitFolder) -> str:
    names = [file.inside[-1] for file in tree.files if not file.brand and file.has_photo_suffix]
    photos = plain_count(len(names), "photo")
    return f"{photos} outside the brand folders ({_some(names)})" if names else ""


def _not_enough(
    dataset: Dataset, folders: Mapping[str, Path], findings: Sequence[RatedFinding]
) -> list[str]:
    """Missing brands, and too few brands or photos."""
    problems = error_lines(findings)
    excluded = excluded_brands(findings)
    shared = dataset.shared_brands
    if excluded and len(shared) < 2:
        problems.append(
            f"{' and '.join(map(str, folders.values()))} share {plain_count(len(shared), 'brand')}"
            f"{' (' + one_line(shared[0]) + ')' if shared else ''}, "
            f"expected at least 2. Add photos of the others to both."
        )
    for split, folder in folders.items():
        used = [brand for brand in dataset.brands[split] if brand not in excluded]
        files = [file for file in dataset.files if file.split == split]
        photos = Counter(file.brand for file in files if file.is_photo)
        instead = _held_instead(file for file in files if not photos[file.brand])
        problems += check_counts(folder, split, {brand: photos[brand] for brand in used}, instead)
    return problems


def _held_instead(files: Iterable[FoundFile]) -> dict[str, str]:
    """Brand → what its folder holds, in words. files: those of brands without photos."""
    by_brand = defaultdict(list)
    for file in files:
        if file.brand and not file.is_hidden:
            by_brand[file.brand].append(file)
    return {brand: _describe_files(held) for brand, held in by_brand.items()}


def _describe_files(files: Sequence[FoundFile]) -> str:
    archives = [file.inside[-1] for file in files if _is_archive(file)]
    if archives:
        return f"but {_some(archives)}: unpack it"
    endings = _some({file.suffix or "no suffix" for file in files})
    if all(file.is_unsupported_photo for file in files):
        photos = plain_count(len(files), "photo")
        heic = all(file.suffix in HEIC_SUFFIXES for file in files)
        mend = "pip install '.[heic]', or save as JPEG" if heic else "save as JPEG or PNG"
        return f"but {photos} in an unsupported format, {endings}: {mend}"
    return f"but {plain_count(len(files), 'file')} that are not photos: {endings}"
