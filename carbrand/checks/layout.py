"""Photos in one folder per brand: what lies there, and whether a classifier can be made of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.checks.brand_names import check_brand_names
from carbrand.checks.portable_names import find_unportable
from carbrand.node.errors import UserError
from carbrand.node.wording import first_few, one_line
from carbrand.photos.files import FoundFile, SplitFolder, walk_splits
from carbrand.photos.folder_findings import (
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
# What others call the folders of the splits.
OTHER_NAMES = {
    "train": frozenset({"train", "training", "trn"}),
    "test": frozenset({"test", "testing", "tst", "val", "valid", "validation", "eval"}),
}
# Before params.yaml is known, nothing passes.
STRICT = {
    "no_brand": "warn",
    "missing_brand": "error",
    "similar_names": "error",
    "unportable_name": "warn",
}


@dataclass(frozen=True)
class Dataset:
    """What lies in the folders of both splits.

    `files` are sorted by path in each split, train first. `brands` are the names of each split's
    brand folders, sorted. `findings` are those that no photo has to be opened for.
    """

    files: list[FoundFile]
    brands: dict[str, list[str]]
    findings: list[FolderFinding]

    @property
    def shared_brands(self) -> list[str]:
        """The brands that can be learned and measured: those of every split, sorted."""
        return sorted(set.intersection(*map(set, self.brands.values())))


def find_dataset(folders: Mapping[str, Path], severities: Mapping[str, str]) -> Dataset:
    """What lies in `folders`, of which a classifier can be made; no photo is opened.

    `folders` maps each of SPLITS to its folder. `severities` are those of `no_brand`,
    `missing_brand`, `similar_names` and `unportable_name`, and may hold others.

    Raises UserError with a line for everything that is wrong.
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
    # Each kind of problem would only be echoed by those after it.
    problems = (
        [line for tree in trees.values() for line in _names_and_links(tree)]
        or [line for tree in trees.values() for line in _wrong_level(tree, folders)]
        or _not_enough(dataset, folders, rate_findings(dataset.findings, severities))
    )
    if problems:
        raise UserError(*problems)
    return dataset


def check_layout(folders: Mapping[str, Path], severities: Mapping[str, str] = STRICT) -> list[str]:
    """What is wrong with the folders of the splits, a line each: what `find_dataset` raises."""
    try:
        find_dataset(folders, severities)
    except UserError as error:
        return list(error.problems)
    return []


def check_counts(
    folder: Path, split: str, photos: Mapping[str, int], instead: Mapping[str, str] | None = None
) -> list[str]:
    """A line for every brand in `photos` (brand → number) that has too few of them.

    `instead` says in words what the folder of a brand holds in place of photos.
    """
    problems = []
    for brand, count in photos.items():
        place = f"{folder}/{one_line(brand)}"
        if count == 0:
            held = (instead or {}).get(brand, "")
            problems.append(
                f"{place} holds no photo that can be used{held and f' ({held})'}. "
                f"Add some ({', '.join(sorted(SUFFIXES))}), or remove the folder from every split."
            )
        elif split == "train" and count < MIN_TRAIN_PHOTOS:
            problems.append(
                f"{place} holds {count} photo that can be used, expected at least "
                f"{MIN_TRAIN_PHOTOS}: one to learn from and one to validate on. Add photos."
            )
    return problems


def _not_there(folder: Path, split: str) -> Iterator[str]:
    """A line where the folder of a split is none, with the folder that may be meant for it."""
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
    state = "is a link that leads nowhere" if folder.is_symlink() else "does not exist"
    yield f"{folder} {state}. " + (
        f"Rename {folder.parent / meant[0]} if it is that one."
        if meant
        else f"Put photos into {folder}/<brand>/, one folder per brand."
    )


def _names_and_links(tree: SplitFolder) -> Iterator[str]:
    """Paths that DVC cannot store, and links to folders: neither may be passed over."""
    for file in tree.files:
        try:
            file.path.encode("utf-8")
        except UnicodeEncodeError:
            shown = file.path.encode("utf-8", "backslashreplace").decode()
            yield f"{shown}: the name is no UTF-8, which DVC needs. Rename it."
    for link in tree.links:
        yield f"{link} is a link to a folder, which is not followed. Copy the folder here."


def _wrong_level(tree: SplitFolder, folders: Mapping[str, Path]) -> Iterator[str]:
    """Folders of photos that lie a level too deep or too high."""
    folder, brands = tree.folder, tree.brands
    inside = _folders_inside(tree)
    nested = [brand for brand in brands if len(inside[brand]) > 1 and "" not in inside[brand]]
    if len(brands) < 2:
        yield (
            f"{folder} holds {len(brands)} brand folder{'s' * (len(brands) != 1)}"
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
        # A brand may be called `train`: locomotives. The others must speak against it.
        others = set(brands) - {brand}
        if brand.lower() in splits and (
            {other.lower() for other in others} <= splits.keys() or others & inside[brand].keys()
        ):
            yield (
                f"{folder}/{one_line(brand)} is a split, not a brand: it holds "
                f"{_some(inside[brand])}. Move them into {folders[splits[brand.lower()]]}."
            )


def _folders_inside(tree: SplitFolder) -> defaultdict[str, Counter[str]]:
    """Of each brand, the folders with photos in its folder; "" for photos directly in it."""
    inside: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file in tree.files:
        if file.is_photo:
            inside[file.brand][file.inside[1] if len(file.inside) > 2 else ""] += 1
    return inside


def _beside(tree: SplitFolder) -> str:
    """What lies where the brand folders should be, if it is something that was meant."""
    loose = _say_loose(tree)
    archives = [file.inside[-1] for file in tree.files if not file.brand and _is_archive(file)]
    return (f"There are {loose}. " if loose else "") + (
        f"Unpack {_some(archives)}. " if archives else ""
    )


def _is_archive(file: FoundFile) -> bool:
    return file.suffix in ARCHIVES and not file.is_hidden


def _some(names: Iterable[str]) -> str:
    """The first of `names` in order, and how many there are beyond them."""
    return first_few([one_line(name) for name in sorted(names)], SHOWN)


def _find_loose(tree: SplitFolder) -> list[FolderFinding]:
    """`no_brand`: photos beside the brand folders."""
    said = _say_loose(tree)
    if not said:
        return []
    message = f"{tree.folder} holds {said}. Move them into {tree.folder}/<brand>/, or remove them."
    return [FolderFinding("no_brand", str(tree.folder), message)]


def _find_unportable(tree: SplitFolder) -> list[FolderFinding]:
    """`unportable_name`: files that a clone on another system would lack."""
    said = find_unportable(file.inside for file in tree.files if not file.is_hidden)
    if not said:
        return []
    message = f"{tree.folder} holds names that not every system can: {_some(said)}. Rename them."
    return [FolderFinding("unportable_name", str(tree.folder), message)]


def _say_loose(tree: SplitFolder) -> str:
    names = [file.inside[-1] for file in tree.files if not file.brand and file.has_photo_suffix]
    photos = f"{len(names):,} photo{'s' * (len(names) != 1)}"
    return f"{photos} in no brand folder ({_some(names)})" if names else ""


def _not_enough(
    dataset: Dataset, folders: Mapping[str, Path], findings: Sequence[RatedFinding]
) -> list[str]:
    """Brands that a split lacks, and too few brands or photos among those that are used."""
    problems = error_lines(findings)
    left_out = excluded_brands(findings)
    shared = dataset.shared_brands
    if left_out and len(shared) < 2:
        problems.append(
            f"{' and '.join(map(str, folders.values()))} share {len(shared)} brand"
            f"{'s' * (len(shared) != 1)}{' (' + one_line(shared[0]) + ')' if shared else ''}, "
            f"expected at least 2. Add photos of the others to both."
        )
    for split, folder in folders.items():
        used = [brand for brand in dataset.brands[split] if brand not in left_out]
        files = [file for file in dataset.files if file.split == split]
        photos = Counter(file.brand for file in files if file.is_photo)
        instead = _held_instead(file for file in files if not photos[file.brand])
        problems += check_counts(folder, split, {brand: photos[brand] for brand in used}, instead)
    return problems


def _held_instead(files: Iterable[FoundFile]) -> dict[str, str]:
    """What the folder of each brand holds, of brands whose `files` hold no photo."""
    by_brand = defaultdict(list)
    for file in files:
        if file.brand and not file.is_hidden:
            by_brand[file.brand].append(file)
    return {brand: _describe(held) for brand, held in by_brand.items()}


def _describe(files: Sequence[FoundFile]) -> str:
    archives = [file.inside[-1] for file in files if _is_archive(file)]
    if archives:
        return f"but {_some(archives)}: unpack it"
    endings = _some({file.suffix or "no ending" for file in files})
    if all(file.is_unsupported_photo for file in files):
        photos = f"{len(files):,} photo{'s' * (len(files) != 1)}"
        return f"but {photos} in a format that is not read, {endings}: save as JPEG or PNG"
    return f"but {len(files):,} file{'s' * (len(files) != 1)} not named like photos: {endings}"
