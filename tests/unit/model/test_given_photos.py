"""A photo has the same pixels whatever a program gives it as."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from carbrand.model.given_photos import open_given, separate
from carbrand.photos.decode.icc_file import DISPLAY_P3, SRGB_CURVE, rgb_profile
from carbrand.photos.photo import UnreadablePhoto, open_photo
from tests.support.hostile_photos import quarters

RGB = np.asarray(quarters())
GREY = np.asarray(quarters().convert("L"))
WHITE = 255


def pixels(photo: object) -> np.ndarray:
    opened = open_given(photo)  # type: ignore[arg-type]
    assert opened.mode == "RGB"
    return np.asarray(opened)


def see_through(image: Image.Image, mode: str) -> Image.Image:
    """With its left half transparent."""
    layers = image.convert("RGBA" if mode == "RGBa" else "LA" if mode in ("LA", "La") else "RGBA")
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, image.width // 2, image.height))
    layers.putalpha(alpha)
    return layers.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_an_image_in_colour_keeps_its_colours(mode):
    off = np.abs(pixels(quarters().convert("RGBA").convert(mode) if mode == "RGBa" else
                        quarters().convert(mode)).astype(int) - RGB)  # fmt: skip
    assert off.max() <= 3


@pytest.mark.parametrize("mode", ["L", "LA", "I", "F", "1"])
def test_a_grey_image_is_grey(mode):
    found = pixels(quarters().convert(mode))
    assert (found == found[..., :1]).all()
    assert mode == "1" or (found[..., 0] == GREY).all()


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_an_image_with_a_palette_has_its_colours(mode):
    image = quarters().quantize(4)
    expected = np.asarray(image.convert("RGB"))
    assert (pixels(image.convert("PA") if mode == "PA" else image) == expected).all()


def test_an_image_in_lab_has_colours():
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(quarters(), *profiles, outputMode="LAB")
    assert np.abs(pixels(image).astype(int) - RGB).max() < 16


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La"])
def test_transparency_is_white(mode):
    found = pixels(see_through(quarters(), mode))
    half = found.shape[1] // 2
    assert (found[:, :half] == WHITE).all()
    assert not (found[:, half:] == WHITE).any()


def test_a_colour_key_is_white():
    image = quarters().convert("L")
    image.info["transparency"] = image.getpixel((0, 0))
    assert (pixels(image)[0, 0] == WHITE).all()
    assert (pixels(image)[-1, -1] == GREY[-1, -1]).all()


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bits_are_scaled_not_clipped(order):
    deep = (GREY.astype(np.uint16) * 257).astype(order)
    mode = "I;16B" if order == ">u2" else "I;16"
    image = Image.frombytes(mode, (GREY.shape[1], GREY.shape[0]), deep.tobytes())
    assert (pixels(image)[..., 0] == GREY).all()
    assert (pixels(deep.astype(np.uint16))[..., 0] == GREY).all()


def test_an_opened_file_is_what_its_path_is(tmp_path):
    """Turned by a camera, in the colours of a phone, and not decoded yet."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    profile = rgb_profile(DISPLAY_P3, SRGB_CURVE)
    quarters().save(path, quality=95, exif=exif, icc_profile=profile)
    expected = np.asarray(open_photo(path))
    assert expected.shape != RGB.shape
    assert (pixels(Image.open(path)) == expected).all()
    assert (pixels(path) == expected).all()
    assert (pixels(str(path)) == expected).all()
    assert (pixels(path.read_bytes()) == expected).all()


@pytest.mark.parametrize(
    "array",
    [
        RGB,
        RGB.astype(np.int64),
        RGB.astype(np.float32),
        RGB.astype(np.float64) / 255,
        np.dstack([RGB, np.full_like(GREY, 255)]),
        np.asfortranarray(RGB),
        RGB[::-1][::-1],
    ],
    ids=["uint8", "int64", "floats to 255", "floats to 1", "alpha", "fortran", "strides"],
)
def test_an_array_has_the_pixels_of_the_image(array):
    assert (pixels(array) == RGB).all()


@pytest.mark.parametrize("array", [GREY, GREY[..., None], GREY / 255, GREY.astype("f2")])
def test_a_grey_array_is_grey(array):
    assert (pixels(array)[..., 0] == GREY).all()


def test_truth_values_are_black_and_white():
    assert set(pixels(GREY > 100).ravel()) == {0, 255}


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        (np.zeros((3, 4, 2)), r"got an array of shape \(3, 4, 2\)"),
        (np.zeros((3, 64, 64)), r"got an array of shape \(3, 64, 64\)"),
        (np.zeros((2, 4, 4, 3)), "shape"),
        (np.zeros((0, 4, 3)), "shape"),
        (np.full((4, 4), np.nan), "values in 0…1 or 0…255, got nan"),
        (np.full((4, 4), -1.0), "got -1.0 to -1.0"),
        (np.full((4, 4), 256), "got 256 to 256"),
        (np.full((4, 4), 1j), "numbers, got complex"),
        (5, "expected a path, bytes, a Pillow image, or an array .*, got int"),
        ([RGB], "got list"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_photo_is_told_with_what_is(photo, said):
    with pytest.raises((TypeError, ValueError), match=said):
        open_given(photo)


def test_an_image_that_cannot_be_decoded_is_an_unreadable_photo(tmp_path):
    path = tmp_path / "cut.png"
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        file, "PNG"
    )
    path.write_bytes(file.getvalue()[:4000])
    with pytest.raises(UnreadablePhoto, match=r"cut\.png is not a readable photo"):
        open_given(Image.open(path))


def test_one_is_told_from_many():
    for one in ("a.jpg", Path("a.jpg"), b"data", quarters(), RGB, GREY, np.str_("a.jpg")):
        assert separate(one) == ((one,), True) or isinstance(one, np.ndarray)
        (same,), is_one = separate(one)
        assert same is one
        assert is_one
    several: list[Any] = [["a.jpg", RGB], (quarters(),), iter(["a.jpg"]), {"a.jpg": 1}.keys()]
    for many in several:
        assert separate(many) == (many, False)
    each, is_one = separate(np.array(["a.jpg", "b.jpg"]))
    assert (list(each), is_one) == (["a.jpg", "b.jpg"], False)
    with pytest.raises(TypeError, match="several of these, got int"):
        separate(5)  # type: ignore[arg-type]


def test_photos_of_one_array_are_scaled_alike():
    """The darker one of two is not taken for one in 0…1."""
    pair = np.stack([np.ones((4, 4, 3)), np.full((4, 4, 3), 200.0)])
    first, second = separate(pair)[0]
    assert (pixels(first).max(), pixels(second).max()) == (1, 200)
