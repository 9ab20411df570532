"""Photos that belong together: copies, and series as far as they show without a network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from carbrand.checks.copies.fingerprint import SIGNATURE_PX
from carbrand.checks.copies.mark_copies import cluster_copies
from carbrand.checks.inspection import Inspection
from carbrand.checks.statuses import find_edited_photos
from carbrand.photos.manifest import Row
from carbrand.vectors.series import find_series
from carbrand.vectors.standardizer import Standardizer

# Mean correlation of thumbnails from which photos of a brand are one scene: frames of a video.
_SIMILARITY = 0.7
# A number before the last one: `car17_003`. A number alone is but an order.
_RUN = re.compile(r"(.*\d.*\D)(\d+)(\D*)")


def find_groups(
    photos: Sequence[Inspection],
    rows: Sequence[Row],
    names: Sequence[str],
    near_distance: int,
    max_pixels: int,
) -> list[str]:
    """The group of each photo: the path of its first member, or a number.

    photos: readable ones. rows: theirs, with names and series of the user. names: of groups that
    are known already, or "". What `validate` only suspects to be copies stays together too.
    """
    clusters = cluster_copies(rows, [photo.fingerprints for photo in photos], near_distance)
    originals = [replace(photo.row, split="train") for photo in photos]
    pairs = find_edited_photos(originals, [photo.windows for photo in photos], clusters, max_pixels)
    together = [(pair.first, pair.second) for pair in pairs] + _runs(rows)
    first: dict[str, int] = {}
    together += [(first.setdefault(name, n), n) for n, name in enumerate(names) if name]
    if together:
        clusters.union(*np.array(together).T)
    thumbnails = np.stack([_thumbnail(photo) for photo in photos])
    space = Standardizer.fit(thumbnails[:, None], thumbnails.shape[1:])
    copies = [str(label) for label in clusters.labels()]
    return find_series(rows, thumbnails, space, copies, _SIMILARITY)


def _thumbnail(photo: Inspection) -> np.ndarray:
    """(d,) float32 grey levels with mean 0; all 0 for a plain surface."""
    if not photo.fingerprints:
        return np.zeros(SIGNATURE_PX**2, np.float32)
    levels = photo.fingerprints[0].signature.ravel().astype(np.float32)
    return levels - levels.mean()


def _runs(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Photos of one brand with consecutive numbers, where several names come before these."""
    matches = {number: _RUN.fullmatch(row.path) for number, row in enumerate(rows)}
    places = {
        (rows[number].brand, match[1], int(match[2]), match[3]): number
        for number, match in matches.items()
        if match and any(letter.isdigit() for letter in match[1].rpartition("/")[2])
    }
    starts = Counter(brand for brand, _ in {key[:2] for key in places})
    return [
        (number, places[after])
        for (brand, start, digits, end), number in places.items()
        if starts[brand] > 1 and (after := (brand, start, digits + 1, end)) in places
    ]
