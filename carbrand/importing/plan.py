"""What an import would do: which photos are new, which stay together, and where each one goes."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from carbrand.checks.brand_names import check_brand_names
from carbrand.checks.copies.hash_search import MAX_DISTANCE
from carbrand.checks.inspection import Inspection, PhotoLimits, inspect_file
from carbrand.checks.named_series import name_series
from carbrand.checks.portable_names import find_unportable
from carbrand.importing.grouping import find_groups
from carbrand.importing.imported_file import Imported
from carbrand.importing.source import SHAPES, Source, SourcePhoto
from carbrand.importing.stratified_split import split_photos
from carbrand.node.errors import UserError
from carbrand.node.params import knob
from carbrand.node.progress import track
from carbrand.node.wording import one_line
from carbrand.parallel.pool import parallel_map
from carbrand.photos.folders.files import FoundFile, is_hidden
from carbrand.photos.manifest import SPLITS, Row
from carbrand.photos.photo_limits import MAX_PIXELS

# Bytes of a name, so that there is room for what `atomic_file` puts around it.
_LONGEST = 240


@dataclass(frozen=True)
class CopyParams:
    """What finds copies and series; keys of the section `validate`."""

    near_distance: int = knob(low=0, high=MAX_DISTANCE)
    series_pattern: str = knob()


@dataclass(frozen=True)
class Plan:
    """new: file → its row. rows: all of imported.csv. there: the photos in Datasets."""

    new: list[tuple[FoundFile, Imported]]
    rows: list[Imported]
    there: list[Row]


# A photo of the source (none if it is in Datasets), what was found, and what is known of its row.
_Photo = tuple[SourcePhoto | None, Inspection, Imported]


def make_plan(
    source: Source,
    datasets: Path,
    existing: Sequence[FoundFile],
    recorded: Sequence[Imported],
    params: CopyParams,
    share: float,
    seed: int,
) -> Plan:
    """Inspect all photos and split the new ones; those that are not taken go to `source.skipped`.

    existing: the files in Datasets. recorded: the rows of imported.csv. share, seed: as in
    `split_photos`. Raises UserError.
    """
    files = [*existing, *(photo.file for photo in source.photos)]
    _check(source, files, datasets)
    places = (datasets / "train", datasets / "test", source.root)
    limits = PhotoLimits(places, MAX_PIXELS, min_side_px=1, max_aspect=MAX_PIXELS)
    inspecting = parallel_map(partial(inspect_file, limits=limits), files)
    inspected = list(track(inspecting, "Checking photos", len(files)))
    here = [it.row for it in inspected[: len(existing)]]
    known = {row.path: row for row in recorded}
    photos: list[_Photo] = [
        (None, it, known.get(it.row.path) or _record(it.row, it.row.path))
        for it in inspected[: len(existing)]
        if it.row.pixel_sha256
    ]
    photos += _choose(source, inspected[len(existing) :], here, known)
    records = [record for *_, record in photos]
    rows = [replace(it.row, path=record.path or f"/{record.source}") for _, it, record in photos]
    # groups.csv may name any file that is or was there.
    others = [*here, *(Row(it.path, it.split, it.brand) for it in recorded)]
    named = name_series([*rows, *others], datasets / "groups.csv", params.series_pattern)
    items = [it for _, it, _ in photos]
    groups = find_groups(items, named[: len(rows)], records, params.near_distance)
    sizes = Counter(groups)
    taken = {_spelling(path) for path in (*known, *(row.path for row in here))}
    new = []
    split = split_photos(records, groups, share, seed)
    for (photo, *_), record, group in zip(photos, split, groups, strict=True):
        record = replace(
            record, group=record.group or (group.lstrip("/") if sizes[group] > 1 else "")
        )
        if photo:
            record = record if record.path else _give_path(record, photo.name, datasets, taken)
            new.append((photo.file, record))
        if photo or record.path in known:
            known[record.path] = record
    return Plan(new, list(known.values()), [it.row for photo, it, _ in photos if not photo])


def _check(source: Source, files: Sequence[FoundFile], datasets: Path) -> None:
    """Raise UserError for brands that cannot be folders, or look like one; note unportable ones."""
    one, other = source.root.resolve(), datasets.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise UserError(f"{one} holds {datasets}, or is in it. Give a folder beside the project.")
    brands = sorted({file.brand for file in files if file.is_photo})
    problems = [
        f"The brand {one_line(brand)!r} cannot be the name of a folder. Give it another."
        for brand in brands
        if not _is_folder_name(brand)
    ]
    folders = {split: datasets / split for split in SPLITS}
    problems += [it.message for it in check_brand_names(dict.fromkeys(SPLITS, brands), folders)]
    if len(brands) < 2:
        problems.append(f"{one_line(''.join(brands))} is the only brand. Known shapes: {SHAPES}.")
    if problems:
        raise UserError(*problems)
    unportable = find_unportable([brand] for brand in brands)
    source.notes += [f"not every system can hold the brand {brand}" for brand in unportable]


def _is_folder_name(name: str) -> bool:
    plain = name.isprintable() and not {"/", "\\"} & set(name) and not is_hidden((name,))
    return plain and len(name.encode()) <= _LONGEST


def _choose(
    source: Source, found: Sequence[Inspection], here: Sequence[Row], known: Mapping[str, Imported]
) -> Iterator[_Photo]:
    """The photos of the source that are not in Datasets, with their rows if these are written."""
    present = {row.path for row in here}
    moved = {row.sha256 for row in here if row.path not in known}
    missing = {
        (row.sha256, row.brand, row.split): row for row in known.values() if row.path not in present
    }
    splits: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for row in here:
        splits[row.sha256, row.brand].add(row.split)
    tested = {key for key, of in splits.items() if "test" in of}
    for photo, item in zip(source.photos, found, strict=True):
        row, place = item.row, "/".join(photo.file.inside)
        key = row.sha256, row.brand
        splits_of_it = (row.split,) if row.split else SPLITS
        before = [missing[(*key, it)] for it in splits_of_it if (*key, it) in missing]
        if not row.pixel_sha256:
            source.skipped[row.reason].append(place)
        elif row.split in splits[key] or (splits[key] and not row.split):
            source.skipped["in Datasets already, or twice in the source"].append(place)
        elif row.sha256 in moved if before else row.split == "train" and key in tested:
            source.skipped["in Datasets already, at another place"].append(place)
        else:
            splits[key].add(row.split)
            new = _record(row, "", f"{source.name}/{place}", photo.series)
            yield photo, item, (*before, new)[0]


def _record(row: Row, path: str, source: str = "", series: str = "") -> Imported:
    group = series and f"{row.brand}/{series}"
    return Imported(path, source, row.sha256, row.split, row.brand, group)


def _give_path(record: Imported, name: Sequence[str], datasets: Path, taken: set[str]) -> Imported:
    """The record with a path that is none of those `taken`, on any system, and now is."""
    folder = (datasets / record.split / record.brand).as_posix()
    paths = (f"{folder}/{name}" for name in _possible_names(name, record.sha256))
    path = next(path for path in paths if _spelling(path) not in taken)
    taken.add(_spelling(path))
    return replace(record, path=path)


def _possible_names(name: Sequence[str], sha256: str) -> Iterator[str]:
    """The photo's own name if every system can hold it, and others that are always the same."""
    suffix = PurePosixPath(name[-1]).suffix.lower()
    if not find_unportable([name]) and all(map(_is_folder_name, name)):
        yield "/".join(name)
        yield "/".join((*name[:-1], f"{PurePosixPath(name[-1]).stem}-{sha256[:8]}{suffix}"))
    yield f"{sha256}{suffix}"


def _spelling(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
