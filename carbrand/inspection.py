"""What can be said of the photos before any model sees them: of each alone, and between them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from carbrand.dataset import FoundFile
from carbrand.manifest import ERROR, EXCLUDED, KEPT, Row
from carbrand.photo import UnreadablePhoto, open_photo, read_file

# In the order in which the manifest lists them.
CODES = ("hidden", "not_a_photo", "unreadable", "label_conflict", "leaked", "duplicate")
# Files that nobody meant as photos stay out without a question.
NEVER_PHOTOS = ("hidden", "not_a_photo")
SEVERITIES = ("error", "exclude", "warn", "ignore")


def inspect_file(file: FoundFile) -> tuple[Row, str]:
    """The row of one file, and in words what is wrong with it (empty when nothing is)."""
    row = Row(path=file.path, split=file.split, brand=file.brand)
    if file.is_hidden:
        return dataclasses.replace(row, issues=("hidden",)), "hidden file"
    if not file.is_photo:
        return dataclasses.replace(row, issues=("not_a_photo",)), "not named like a photo"
    try:
        data = read_file(file.path)
        row = dataclasses.replace(row, sha256=hashlib.sha256(data).hexdigest())
        photo = open_photo(file.path, data)
    except UnreadablePhoto as error:
        return dataclasses.replace(row, issues=("unreadable",)), error.reason
    row = dataclasses.replace(
        row,
        width=photo.width,
        height=photo.height,
        format=photo.info["source_format"],
        mode=photo.info["source_mode"],
        pixel_sha256=hash_pixels(photo),
        phash=perceptual_hash(photo),
    )
    return row, ""


def hash_pixels(photo: Image.Image) -> str:
    """SHA-256 over the size and the RGB bytes: equal for the same pixels in another file format."""
    digest = hashlib.sha256(f"{photo.width}x{photo.height}:".encode())
    digest.update(np.ascontiguousarray(photo).data)
    return digest.hexdigest()


def perceptual_hash(photo: Image.Image) -> str:
    """64 bits of the photo's coarse structure (DCT), in hex; a few bits apart for a re-encode."""
    import imagehash  # brings scipy: only those who hash pay for it

    return str(imagehash.phash(photo))


def find_copies(rows: Sequence[Row]) -> list[Row]:
    """`rows` with the issues that show between photos: the same pixels more than once.

    Of the copies inside one split the first by path stays, the rest are `duplicate`. A test photo
    with a copy in `train` is `leaked`. Copies under two brands are a `label_conflict`, each one.
    """
    groups = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.path):
        if row.pixel_sha256:
            groups[row.pixel_sha256].append(row)
    marked = {row.path: row for group in groups.values() for row in _mark_copies(group)}
    return [marked.get(row.path, row) for row in rows]


def _mark_copies(group: Sequence[Row]) -> Iterable[Row]:
    """`group` are all the files of the same pixels, sorted by path."""
    first: dict[str, Row] = {}
    by_brand: dict[str, Row] = {}
    for row in group:
        first.setdefault(row.split, row)
        by_brand.setdefault(row.brand, row)
    for row in group:
        issues, copy_of = list(row.issues), ""
        if len(by_brand) > 1:
            issues.append("label_conflict")
            copy_of = next(other.path for brand, other in by_brand.items() if brand != row.brand)
        if row.split == "test" and "train" in first:
            issues.append("leaked")
            copy_of = first["train"].path
        elif row is not first[row.split]:
            issues.append("duplicate")
            copy_of = first[row.split].path
        ordered = tuple(sorted(issues, key=CODES.index))
        yield dataclasses.replace(row, issues=ordered, duplicate_of=copy_of)


def judge(row: Row, severities: dict[str, str]) -> Row:
    """`row` with the status that its issues have under `severities` (issue code → severity).

    Issues to be ignored are dropped from the row. So is a leak where photos under two brands are
    not used: the training photo is not learned from, and what brand the test photo has, nobody
    knows.
    """
    unknown_brand = "label_conflict" in row.issues and severities["label_conflict"] in (
        "error",
        "exclude",
    )
    issues = tuple(
        code
        for code in row.issues
        if severities[code] != "ignore" and not (code == "leaked" and unknown_brand)
    )
    grades = {severities[code] for code in issues}
    status = ERROR if "error" in grades else EXCLUDED if "exclude" in grades else KEPT
    return dataclasses.replace(row, issues=issues, status=status)
