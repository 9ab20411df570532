"""Batches hold every photo once an epoch, and are a function of the seed and the step alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from carbrand.training.finetuning.augmentation import augment, source_size
from carbrand.training.finetuning.photo_batches import (
    PhotoCache,
    held_out_batches,
    training_batches,
)
from tests.unit.training.finetuning.small import PARAMS, SIZE_PX

pytestmark = pytest.mark.usefixtures("on_tensorflow")
UNCHANGED = dataclasses.replace(PARAMS, crop=1.0, flip=False, brightness=0.0, contrast=0.0)


def numbered(number: int) -> np.ndarray:
    """A photo whose every pixel is its number."""
    return np.full((SIZE_PX, SIZE_PX, 3), number, np.uint8)


def read(batches) -> list[tuple[list[int], np.ndarray]]:
    """The numbers of the photos of each batch, and the photos."""
    return [(photos.numpy()[:, 0, 0, 0].astype(int).tolist(), photos) for photos, *_ in batches]


def batches(params, first_epoch: int = 0, rows=range(2, 12), decode=numbered):
    targets, weights = np.eye(20, dtype=np.float32), np.ones(20, np.float32)
    photos = PhotoCache(decode)
    return training_batches(photos, np.array(rows), targets, weights, params, first_epoch)


def test_every_epoch_holds_every_photo_once_in_another_order():
    params = dataclasses.replace(UNCHANGED, batch_size=4, epochs=2)
    numbers = [number for numbers, _ in read(batches(params)) for number in numbers]
    assert sorted(numbers[:10]) == sorted(numbers[10:]) == list(range(2, 12))
    assert numbers[:10] != numbers[10:]


def test_targets_and_weights_are_those_of_the_photo():
    params = dataclasses.replace(UNCHANGED, batch_size=4, epochs=1)
    targets, weights = np.eye(12, dtype=np.float32), np.arange(12, dtype=np.float32)
    for photos, target, weight in training_batches(
        PhotoCache(numbered), np.arange(12), targets, weights, params
    ):
        numbers = photos.numpy()[:, 0, 0, 0].astype(int)
        assert target.numpy().argmax(axis=1).tolist() == numbers.tolist()
        assert weight.numpy().tolist() == numbers.tolist()


def test_a_later_start_gives_the_batches_that_would_have_come():
    noise = np.random.default_rng(0).integers(0, 255, (20, SIZE_PX, SIZE_PX, 3), np.uint8)
    params = dataclasses.replace(PARAMS, batch_size=4, epochs=4)
    whole = [photos.numpy() for photos, *_ in batches(params, decode=lambda n: noise[n])]
    late = [photos.numpy() for photos, *_ in batches(params, 2, decode=lambda n: noise[n])]
    assert len(whole) == 12
    for one, other in zip(whole[6:], late, strict=True):
        assert np.array_equal(one, other)


def test_held_out_photos_come_unchanged_and_in_order():
    targets = np.eye(9, dtype=np.float32)
    found = read(held_out_batches(PhotoCache(numbered), np.array([7, 3, 5]), targets, 2))
    assert [numbers for numbers, _ in found] == [[7, 3], [5]]


def test_photos_beyond_the_limit_are_decoded_again_and_the_others_once():
    decoded: list[int] = []

    def decode(number: int) -> np.ndarray:
        decoded.append(number)
        return numbered(number)

    photos = PhotoCache(decode, max_bytes=3 * SIZE_PX * SIZE_PX * 3)
    for _ in range(2):
        assert photos.read(np.arange(5))[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert len(decoded) == 5 + 2


def test_without_any_change_photos_are_as_they_were():
    photos = np.random.default_rng(1).integers(0, 255, (3, SIZE_PX, SIZE_PX, 3), np.uint8)
    assert source_size(UNCHANGED) == SIZE_PX
    changed = augment(photos, np.array([0, 0], np.int64), UNCHANGED).numpy()
    np.testing.assert_allclose(changed, photos, atol=1e-3)


def test_changes_differ_from_photo_to_photo_and_stay_in_range():
    side = source_size(PARAMS)
    one = np.random.default_rng(2).integers(0, 255, (1, side, side, 3), np.uint8)
    changed = augment(np.repeat(one, 8, axis=0), np.array([0, 5], np.int64), PARAMS).numpy()
    assert changed.shape == (8, SIZE_PX, SIZE_PX, 3)
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert len({photo.tobytes() for photo in changed}) == 8


@pytest.mark.parametrize("change", ["flip", "brightness", "contrast", "crop"])
def test_each_change_alone_changes_something(change):
    only = dataclasses.replace(UNCHANGED, **{change: getattr(PARAMS, change)})
    side = source_size(only)
    photos = np.random.default_rng(3).integers(60, 190, (8, side, side, 3), np.uint8)
    changed = augment(photos, np.array([0, 1], np.int64), only).numpy()
    same = (
        augment(
            photos,
            np.array([0, 1], np.int64),
            dataclasses.replace(only, **{change: getattr(UNCHANGED, change)}),
        ).numpy()
        if side == SIZE_PX
        else photos[:, :SIZE_PX, :SIZE_PX].astype(np.float32)
    )
    assert not np.allclose(changed, same, atol=1.0)
