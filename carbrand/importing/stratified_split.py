"""Splits photos into train and test: stratified by brand, groups whole, the same for one seed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from carbrand.importing.imported_file import Imported
from carbrand.photos.severities import MIN_TRAIN_PHOTOS


def split_photos(
    photos: Sequence[Imported], groups: Sequence[str], share: float, seed: int
) -> list[Imported]:
    """Give a split to those that have none. share: of a brand's photos that test gets, if above 0.

    A group goes where one of it is: to train, if it is in both. A brand keeps MIN_TRAIN_PHOTOS to
    learn from. The order of photos, and what they are called, do not matter.
    """
    members: defaultdict[str, list[Imported]] = defaultdict(list)
    for photo, group in zip(photos, groups, strict=True):
        members[group].append(photo)
    splits = {group: max(photo.split for photo in of) for group, of in members.items()}
    found = [replace(it, split=it.split or splits[g]) for it, g in zip(photos, groups, strict=True)]
    tested = Counter(photo.brand for photo in found if photo.split == "test")
    sizes = Counter(photo.brand for photo in photos)

    def fits(brand: str, n: int, nearly: bool) -> bool:
        short = max(int(share * sizes[brand] + 0.5), 1) - tested[brand]
        near = n < 2 * short or (short > 0 and not tested[brand])
        left = sizes[brand] - tested[brand] - n
        return left >= MIN_TRAIN_PHOTOS and (n <= short or (nearly and near))

    # Those that fit; then, the small ones first, those that come nearer to the share than none.
    free = sorted((_draw(of, seed), group) for group, of in members.items() if not splits[group])
    waiting = [(group, False) for _, group in free]
    waiting += [(group, True) for _, group in sorted(free, key=lambda it: len(members[it[1]]))]
    for group, nearly in waiting:
        counts = Counter(photo.brand for photo in members[group])
        if share and not splits[group] and all(fits(*it, nearly) for it in counts.items()):
            splits[group] = "test"
            tested += counts
    return [
        replace(it, split=it.split or splits[g] or "train")
        for it, g in zip(photos, groups, strict=True)
    ]


def _draw(members: Sequence[Imported], seed: int) -> str:
    first = min(photo.sha256 for photo in members)
    return hashlib.sha256(f"{seed}:{first}".encode()).hexdigest()
