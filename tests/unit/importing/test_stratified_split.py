"""Dealing: stratified, whole groups, the same for the same seed, and never taken back."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from carbrand.importing.imported_file import Imported
from carbrand.importing.stratified_split import split_photos


def photos_of(**brands: int) -> list[Imported]:
    return [
        Imported("", f"{brand}/{n}", f"{brand} {n}", "", brand, "")
        for brand, count in brands.items()
        for n in range(count)
    ]


def alone(photos: list[Imported]) -> list[str]:
    return [photo.source for photo in photos]


def in_test(dealt: list[Imported]) -> Counter:
    return Counter(photo.brand for photo in dealt if photo.split == "test")


@pytest.mark.parametrize(
    ("share", "counts"), [(0.2, (10, 2, 1)), (0.5, (25, 5, 1)), (0, (0, 0, 0))]
)
def test_each_brand_gets_its_share_and_keeps_two_to_learn_from(share, counts):
    photos = photos_of(a=50, b=10, c=3)
    found = in_test(split_photos(photos, alone(photos), share, seed=0))
    assert (found["a"], found["b"], found["c"]) == counts
    few = photos_of(a=2)
    assert not in_test(split_photos(few, alone(few), 0.5, seed=0))


def test_the_seed_decides_and_not_the_order():
    photos = photos_of(a=30, b=20)
    mixed = random.Random(0).sample(photos, len(photos))
    first, second, other = (
        {photo.source: photo.split for photo in split_photos(them, alone(them), 0.2, seed)}
        for them, seed in ((photos, 0), (mixed, 0), (photos, 1))
    )
    assert first == second != other


def test_a_group_is_in_one_split_and_the_share_is_kept_nevertheless():
    photos = photos_of(a=100, b=40)
    groups = [f"{photo.brand} {n // 4}" for n, photo in enumerate(photos)]
    for seed in range(20):
        dealt = split_photos(photos, groups, 0.2, seed)
        splits = {(group, photo.split) for group, photo in zip(groups, dealt, strict=True)}
        assert len(splits) == len(set(groups))
        assert in_test(dealt) == {"a": 20, "b": 8}


def test_a_brand_of_two_large_groups_still_has_test_photos():
    photos = photos_of(a=20)
    groups = ["large"] * 13 + ["small"] * 7
    assert in_test(split_photos(photos, groups, 0.2, seed=0)) == {"a": 7}


def test_known_photos_stay_and_their_groups_follow_them():
    photos = photos_of(a=40)
    groups = alone(photos)
    photos[0] = replace(photos[0], split="test")
    photos[10] = replace(photos[10], split="train")
    photos[20] = replace(photos[20], split="test")
    photos[21] = replace(photos[21], split="train")
    groups[0:3] = ["of test"] * 3
    groups[10:13] = ["of train"] * 3
    groups[20:23] = ["of both"] * 3
    for seed in range(5):
        dealt = split_photos(photos, groups, 0.2, seed)
        assert [photo.split for photo in dealt[0:3]] == ["test"] * 3
        assert [photo.split for photo in dealt[10:13]] == ["train"] * 3
        assert [photo.split for photo in dealt[20:23]] == ["test", "train", "train"]
        assert in_test(dealt) == {"a": 8}
