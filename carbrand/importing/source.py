"""What a source holds: its photos with their brands and, where it says so, their splits."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from carbrand.checks.layout import OTHER_NAMES
from carbrand.importing.archive import TABLE_SUFFIXES, unpack
from carbrand.importing.label_tables import Entry, find_tables, locate, read_labels, split_path
from carbrand.node.errors import UserError
from carbrand.node.wording import count, one_line
from carbrand.photos.folders.files import FoundFile, walk

VALIDATION = frozenset({"val", "valid", "validation"})
SHAPES = (
    "a folder per brand; train and test, and perhaps val, with a folder per brand; labels.csv or "
    ".tsv with the columns path and label; Hugging Face's ImageFolder with metadata.csv; Label "
    "Studio's JSON of choices; a ZIP or tar of one of these"
)


@dataclass(frozen=True)
class SourcePhoto:
    """A photo. file: with its brand, and its split or "". name: its path below the brand, in parts.

    series: its name, or "".
    """

    file: FoundFile
    name: tuple[str, ...]
    series: str = ""


@dataclass
class Source:
    """name, shape: in words. root: the folder of its photos. skipped: reason → places.

    notes: what was assumed.
    """

    name: str
    root: Path
    shape: str = ""
    photos: list[SourcePhoto] = field(default_factory=list)
    skipped: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)


def read_source(path: Path, scratch: Path, depth: int, label: str) -> Source:
    """Recognize the shape of a folder, a table or an archive, which is unpacked into `scratch`.

    depth: how many folders name the brand. label: the column of labels, or "" for a usual one.
    Raises UserError.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist. Give a folder, a table, a ZIP or a tar.")
    is_table = path.suffix.lower() in TABLE_SUFFIXES and path.is_file()
    root = path if path.is_dir() else path.parent if is_table else scratch
    source = Source(path.resolve().name, root)
    if root is scratch:
        files, refused = unpack(path, scratch)
        for name, reason in refused.items():
            source.skipped[reason].append(name)
    else:
        tree = walk(root, "")
        files, source.skipped["a link to a folder"] = tree.files, tree.links
    tables = [f for f in files if f.inside == (path.name,)] if is_table else find_tables(files)
    entries = {table: read_labels(Path(table.path), label) for table in tables}
    photos = [file for file in files if file.has_photo_suffix]
    if tables and all(entries.values()):
        source.shape = f"labels in {'/'.join(tables[0].inside)}"
        _take_labelled(source, photos, entries)
    elif is_table or label or any(file.inside[-1].startswith("labels") for file in tables):
        raise UserError(
            f"{path} has no table with columns path and label, nor Label Studio's choices. Name "
            f"the columns so, or give --label."
        )
    else:
        _take_folders(source, photos, depth)
    others = [file for file in files if not file.has_photo_suffix and file not in tables]
    source.skipped["no photo in a format that is read"] = ["/".join(it.inside) for it in others]
    if not source.photos:
        held = "; ".join(f"{len(of):,} {why}" for why, of in source.skipped.items() if of)
        raise UserError(f"{path} has no known shape ({held or 'empty'}). Known are {SHAPES}.")
    return source


def place_splits(source: Source, validation: str, tested: bool) -> None:
    """Let validation photos join `train` or `test`, or `skip` them, and free a lone `train`.

    validation: one of these, or "": test, unless the source has one. tested: whether Datasets has
    test photos.
    """
    sizes = Counter(photo.file.split for photo in source.photos)
    to = {split: split for split in sizes}
    if sizes["val"]:
        to["val"] = validation or ("train" if sizes["test"] else "test")
        source.notes.append(
            f"{count(sizes['val'], 'validation photo')}: {to['val']}; --val says otherwise"
        )
    if set(to.values()) - {"skip"} == {"train"} and not tested:
        to = {split: "skip" if goal == "skip" else "" for split, goal in to.items()}
        source.notes.append("there are no test photos, so they are dealt from train")
    source.skipped["of the validation split"] += [
        "/".join(it.file.inside) for it in source.photos if to[it.file.split] == "skip"
    ]
    source.photos = [
        replace(it, file=replace(it.file, split=to[it.file.split]))
        for it in source.photos
        if to[it.file.split] != "skip"
    ]


def split_of(name: str) -> str:
    """`train`, `test`, `val`, or "" for a name that means none."""
    if name.lower() in VALIDATION:
        return "val"
    return next((split for split, names in OTHER_NAMES.items() if name.lower() in names), "")


def _take_labelled(
    source: Source, photos: Sequence[FoundFile], tables: Mapping[FoundFile, Sequence[Entry]]
) -> None:
    by_place = {split_path("/".join(file.inside)): file for file in photos}
    labels_of: defaultdict[FoundFile, set[Entry]] = defaultdict(set)
    for table, entries in tables.items():
        for entry in entries:
            file = locate(entry.path, table.inside[:-1], by_place)
            if file and entry.label:
                labels_of[file].add(entry._replace(path=""))
            elif not file:
                source.skipped["in the table, but not in the source"].append(entry.path)
    for file in photos:
        if len(labels_of[file]) == 1:
            source.photos.append(_labelled(file, *labels_of[file]))
        else:
            reason = "with several labels" if labels_of[file] else "without a label"
            source.skipped[reason].append("/".join(file.inside))


def _labelled(file: FoundFile, entry: Entry) -> SourcePhoto:
    split = split_of(entry.split)
    if entry.split and not split:
        raise UserError(f"The split {one_line(entry.split)!r} is none of train, test and val.")
    split = split or next(filter(None, map(split_of, file.inside[:-1])), "")
    brand = unicodedata.normalize("NFC", entry.label)
    return SourcePhoto(replace(file, brand=brand, split=split), file.inside[-1:], entry.series)


def _take_folders(source: Source, photos: Sequence[FoundFile], depth: int) -> None:
    below = _without_top({file: file.inside for file in photos})
    if all(len(parts) > 2 and split_of(parts[1]) for parts in below.values()):
        below = {file: (split, brand, *rest) for file, (brand, split, *rest) in below.items()}
    splits = {file: split_of(parts[0]) for file, parts in below.items() if len(parts) > 1}
    found = set(splits.values())
    has_splits = len(found - {""}) > 1 or (len(found) == 1 and found != {""})
    if has_splits:  # one folder alone that is called so may be a brand
        below = _without_top({file: below[file][1:] for file in splits if splits[file]})
    for file in photos:
        *folders, name = below.get(file, ("",))
        if folders:
            brand = unicodedata.normalize("NFC", "-".join(folders[:depth]))
            labelled = replace(file, brand=brand, split=splits[file] if has_splits else "")
            source.photos.append(SourcePhoto(labelled, (*folders[depth:], name)))
        else:
            source.skipped["outside the folders of brands"].append("/".join(file.inside))
    source.shape = f"a folder per brand{' in each split' if has_splits else ', without a split'}"
    deepest = max((len(parts) - 1 for parts in below.values()), default=0)
    if deepest > 1:
        words = f"{count(min(depth, deepest), 'folder')} of {deepest} name the brand"
        source.notes.append(f"{words}; --depth N takes another number")


def _without_top(below: Mapping[FoundFile, tuple[str, ...]]) -> Mapping[FoundFile, tuple[str, ...]]:
    """Without the folders that everything is in, unless one is a split or the only brand."""
    while len({parts[0] for parts in below.values()}) == 1 and all(
        len(parts) > 2 and not split_of(parts[0]) for parts in below.values()
    ):
        below = {file: parts[1:] for file, parts in below.items()}
    return below
