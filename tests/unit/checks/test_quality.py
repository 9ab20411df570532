"""Photos that show nothing are found, and ordinary ones are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from carbrand.checks.quality import CODES, SIDE_PX, measure, quality_issues
from carbrand.photos.photo import open_photo
from tests.conftest import ROOT


def scene(size: tuple[int, int] = (300, 200), seed: int = 0) -> Image.Image:
    """Sharp shapes in many colours, as a photo has them."""
    rng, photo = np.random.default_rng(seed), Image.new("RGB", (300, 200), (90, 120, 160))
    draw = ImageDraw.Draw(photo)
    for _ in range(200):
        x, y = int(rng.integers(0, 300)), int(rng.integers(0, 200))
        width, height = rng.integers(5, 50, 2).tolist()
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        draw.rectangle((x, y, x + width, y + height), fill=colour)
    return photo.resize(size, Image.Resampling.LANCZOS)


def issues(photo: Image.Image) -> tuple[str, ...]:
    return quality_issues(measure(photo))


def blurred(photo: Image.Image, radius: float) -> Image.Image:
    """Radius in pixels of a copy of SIDE_PX."""
    return photo.filter(ImageFilter.GaussianBlur(radius * max(photo.size) / SIDE_PX))


def test_an_ordinary_photo_has_no_issue():
    assert issues(scene()) == ()


@pytest.mark.parametrize("size", [(300, 200), (1200, 800), (3000, 2000)])
def test_quality_hardly_depends_on_the_size(size):
    reference, quality = measure(scene((600, 400))), measure(scene(size))
    assert quality.brightness == pytest.approx(reference.brightness, abs=0.01)
    assert quality.sharpness == pytest.approx(reference.sharpness, abs=0.06)


@pytest.mark.parametrize("radius", [2, 3, 6, 16, 40])
def test_a_blurred_photo_is_blurry(radius):
    assert "blurry" in issues(blurred(scene(), radius))


def test_a_hand_that_moved_sideways_blurs_too():
    smeared = scene().resize((30, 200), Image.Resampling.BOX).resize((300, 200))
    assert "blurry" in issues(smeared)


def test_low_contrast_is_no_blur():
    faint = Image.blend(scene(), Image.new("RGB", (300, 200), (128, 128, 128)), 0.7)
    assert issues(faint) == ()


def test_a_photo_in_the_dark_is_dark_and_one_without_light_of_one_colour_too():
    assert issues(ImageEnhance.Brightness(scene()).enhance(0.2)) == ("dark",)
    assert issues(Image.new("RGB", (300, 200), (3, 3, 4))) == ("one_colour", "dark")


def test_lamps_in_the_night_are_not_dark():
    night = ImageEnhance.Brightness(scene()).enhance(0.2)
    night.paste((255, 250, 220), (100, 100, 140, 130))
    assert "dark" not in issues(night)


def test_an_overexposed_photo_is_bright():
    assert "bright" in issues(Image.blend(scene(), Image.new("RGB", (300, 200), "white"), 0.97))
    assert issues(Image.new("RGB", (300, 200), "white")) == ("one_colour", "bright")


def test_a_product_on_white_is_not_bright():
    paper = Image.new("RGB", (300, 200), "white")
    paper.paste(scene((120, 80)), (90, 60))
    assert issues(paper) == ()


def test_a_plain_wall_is_one_colour_although_a_camera_adds_noise():
    noise = np.random.default_rng(0).normal(140, 3, (200, 300, 3))
    assert issues(Image.fromarray(noise.astype(np.uint8))) == ("one_colour",)


def test_a_line_on_paper_holds_little_information():
    paper = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(paper).rectangle((50, 80, 250, 120), fill="black")
    assert issues(paper) == ("low_information",)


def test_two_colours_of_the_same_brightness_are_not_one():
    photo = Image.new("RGB", (300, 200), (200, 30, 30))
    photo.paste((30, 105, 200), (0, 0, 150, 200))
    assert "one_colour" not in issues(photo)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 5000), (5000, 1), (3, 3)])
def test_every_size_can_be_measured(size):
    assert issues(Image.new("RGB", size, (200, 40, 40))) == ("one_colour",)


def test_the_figures_are_those_of_the_formulas():
    photo = Image.new("RGB", (100, 100), (255, 0, 0))
    photo.paste((0, 0, 0), (0, 0, 50, 100))
    quality = measure(photo)
    # The root of 0.241, as a level of 255; half the pixels have it.
    assert quality.brightness == round(125 / 255 / 2, 4)
    assert (quality.highlights, quality.shadows) == (round(125 / 255, 4), 0.0)
    assert quality.information == 1.0
    # One step of 125 among moving means of 9 pixels, each of which moves by a ninth.
    assert quality.sharpness == 0.0  # no step at all from top to bottom
    assert quality.spread == 1.0


def test_codes_come_in_a_fixed_order():
    assert CODES == ("one_colour", "dark", "bright", "blurry", "low_information")


def test_none_of_the_article_s_photos_is_flagged_and_each_is_when_blurred(article_photos: Path):
    paths = sorted(article_photos.rglob("*.jpg"))[::3]
    for path in paths:
        photo = open_photo(path)
        assert issues(photo) == (), path.name
        assert issues(ImageEnhance.Brightness(photo).enhance(0.25))[:1] == ("dark",), path.name
        assert "blurry" in issues(blurred(photo, 3)), path.name


@pytest.mark.usefixtures("sample_in_place")
def test_of_the_sample_only_its_darkest_nights_are_flagged():
    flagged = {
        f"{path.parent.name}/{path.stem}": found
        for path in sorted((ROOT / "Datasets").glob("t*/*/*.jpg"))
        if (found := issues(open_photo(path)))
    }
    assert flagged == {"audi/004": ("dark",), "audi/019": ("dark",)}
