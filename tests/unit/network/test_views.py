"""Views of a photo: augmented ones depend on the photo and their number alone, as test views do."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from carbrand.network.views import (
    TEST_VIEWS,
    Augmentation,
    make_test_views,
    make_view,
)
from carbrand.photos.resizing import RESIZE_POLICIES, resize
from tests.conftest import draw_photo

KEY = "00112233445566778899aabbccddeeff"
NOTHING = Augmentation(shear=0.0, zoom=0.0, crop=1.0, flip=False)
ALL = Augmentation(shear=0.2, zoom=0.2, crop=0.8, flip=True)


def view(number: int, augmentation: Augmentation = ALL, key: str = KEY, seed: int = 0):
    return make_view(draw_photo((90, 90, 90), 3), number, key, 32, "stretch", augmentation, seed)


def test_view_0_is_the_photo_as_prediction_sees_it():
    expected = np.asarray(resize(draw_photo((90, 90, 90), 3), 32, "stretch"))
    assert np.array_equal(view(0), expected)


def test_a_view_repeats():
    assert np.array_equal(view(2), view(2))


@pytest.mark.parametrize("other", [view(3), view(2, key="f" * 32), view(2, seed=1), view(0)])
def test_another_number_photo_or_seed_gives_another_view(other):
    assert not np.array_equal(view(2), other)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_nothing_switched_on_changes_nothing(number):
    assert np.array_equal(view(number, NOTHING), view(0))


def test_flip_mirrors_every_other_view():
    flip = Augmentation(shear=0.0, zoom=0.0, crop=1.0, flip=True)
    assert np.array_equal(view(1, flip), view(0)[:, ::-1])
    assert np.array_equal(view(2, flip), view(0))


def stripes() -> Image.Image:
    """A white vertical line in the middle of black, 65 px wide."""
    photo = Image.new("RGB", (65, 65))
    photo.paste((255, 255, 255), (32, 0, 33, 65))
    return photo


def line_position(pixels: np.ndarray, row: int) -> float:
    light = pixels[row, :, 0].astype(float)
    return float((light * np.arange(len(light))).sum() / light.sum())


def test_shear_leans_a_vertical_line_and_keeps_its_middle():
    shear = Augmentation(shear=0.3, zoom=0.0, crop=1.0, flip=False)
    leans = []
    for number in range(1, 6):
        pixels = make_view(stripes(), number, KEY, 65, "stretch", shear, 0)
        assert line_position(pixels, 32) == pytest.approx(32, abs=1)
        leans.append((line_position(pixels, 64) - line_position(pixels, 0)) / 65)
    assert 0.02 < max(np.abs(leans)) <= 0.3


def test_zoom_widens_or_narrows_within_its_range():
    square = Image.new("RGB", (100, 100))
    square.paste((255, 255, 255), (30, 30, 70, 70))
    zoom = Augmentation(shear=0.0, zoom=0.2, crop=1.0, flip=False)
    shares = [
        np.sqrt((make_view(square, n, KEY, 100, "stretch", zoom, 0) > 127).mean()) / 0.4
        for n in range(1, 9)
    ]
    assert min(shares) < 0.98
    assert max(shares) > 1.02
    assert all(0.78 < share < 1.22 for share in shares)


def test_what_zooming_out_lets_in_repeats_the_edge():
    zoom = Augmentation(shear=0.5, zoom=0.5, crop=1.0, flip=False)
    white = Image.new("RGB", (40, 40), "white")
    assert all(make_view(white, n, KEY, 40, "stretch", zoom, 0).min() == 255 for n in range(1, 20))


def test_crop_keeps_at_least_its_share():
    ramp = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (50, 1))).convert("RGB")
    crop = Augmentation(shear=0.0, zoom=0.0, crop=0.8, flip=False)
    for number in range(1, 10):
        row = make_view(ramp, number, KEY, 64, "stretch", crop, 0)[32, :, 0].astype(int)
        assert 0.78 * 200 <= row[-1] - row[0] <= 200


@pytest.mark.parametrize("kind", TEST_VIEWS)
@pytest.mark.parametrize("policy", RESIZE_POLICIES)
def test_the_first_test_view_is_the_photo_and_there_are_as_many_as_said(kind, policy):
    photo = draw_photo((90, 90, 90), 3)
    views = make_test_views(photo, 32, policy, kind)
    assert views.shape == (TEST_VIEWS[kind], 32, 32, 3)
    assert views.dtype == np.uint8
    assert np.array_equal(views[0], np.asarray(resize(photo, 32, policy)))


def test_flip_adds_the_mirror_image():
    plain, mirrored = make_test_views(draw_photo((90, 90, 90), 3), 32, "stretch", "flip")
    assert np.array_equal(mirrored, plain[:, ::-1])


def test_crops_are_the_corners_and_the_centre_and_their_mirror_images():
    photo = draw_photo((90, 90, 90), 3, size=(160, 80))
    views = make_test_views(photo, 32, "stretch", "flip_crop")
    boxes = [(0, 0, 140, 70), (20, 0, 160, 70), (0, 10, 140, 80), (20, 10, 160, 80)]
    centre = (10, 5, 150, 75)
    for number, box in enumerate([*boxes, centre]):
        crop = np.asarray(resize(photo.crop(box), 32, "stretch"))
        assert np.array_equal(views[2 + number], crop)
        assert np.array_equal(views[7 + number], crop[:, ::-1])
    assert np.array_equal(views[1], views[0][:, ::-1])


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_a_photo_of_one_pixel_has_all_its_test_views(size):
    photo = Image.new("RGB", size, (9, 8, 7))
    assert (make_test_views(photo, 16, "stretch", "flip_crop") == (9, 8, 7)).all()
