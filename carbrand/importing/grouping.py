"""Photos that belong together: copies, and series as far as they show without a network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from carbrand.checks.copies.mark_copies import cluster_copies
from carbrand.checks.inspection import Inspection
from carbrand.checks.statuses import find_edited_photos
from carbrand.importing.imported_file import Imported
from carbrand.photos.manifest import Row
from carbrand.photos.photo_limits import MAX_PIXELS
from carbrand.vectors.series import find_series
from carbrand.vectors.standardizer import Standardizer

# A number before the last one: `car17_003`. A number alone is but an order.
_RUN = re.compile(r"(.*\d.*\D)(\d+)(\D*)")


def find_groups(
    photos: Sequence[Inspection],
    rows: Sequence[Row],
    records: Sequence[Imported],
    near_distance: int,
) -> list[str]:
    """The group of each photo: a known one of `records`, else the path of its first row.

    photos: readable ones. rows: theirs, with the series that the user names. What `validate` only
    suspects to be copies stays together too.
    """
    clusters = cluster_copies(rows, [photo.fingerprints for photo in photos], near_distance)
    originals = [replace(photo.row, split="train") for photo in photos]
    pairs = find_edited_photos(originals, [photo.windows for photo in photos], clusters, MAX_PIXELS)
    together = [(pair.first, pair.second) for pair in pairs] + _runs(records)
    first: dict[str, int] = {}
    together += [(first.setdefault(it.group, n), n) for n, it in enumerate(records) if it.group]
    clusters.join(together)
    copies = [rows[label].path for label in clusters.labels()]
    nothing = np.empty((len(rows), 0), np.float32)  # no vectors: a similarity of 1 asks for none
    groups = find_series(rows, nothing, Standardizer(nothing, nothing), copies, 1.0)
    known = {group: it.group for it, group in zip(records, groups, strict=True) if it.group}
    return [known.get(group, group) for group in groups]


def _runs(records: Sequence[Imported]) -> list[tuple[int, int]]:
    """Photos of one brand with consecutive numbers, where several names come before these."""
    places = {}
    for number, record in enumerate(records):
        path = PurePosixPath(record.source or record.path)
        match = _RUN.fullmatch(path.name)
        if match:
            key = (record.brand, path.parent.name, match[1], match[3])
            places[key, int(match[2])] = number
    starts = Counter(brand for brand, *_ in {key for key, _ in places})
    return [
        (number, places[key, digits + 1])
        for (key, digits), number in places.items()
        if starts[key[0]] > 1 and (key, digits + 1) in places
    ]
