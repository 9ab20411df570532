"""HEIC, which phones write, is read as other formats are where the extra `heic` is installed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carbrand.photos.decode import heif_file
from carbrand.photos.decode.formats import extension_fits
from carbrand.photos.decode.icc_file import DISPLAY_P3, SRGB_CURVE, rgb_profile
from carbrand.photos.folders.files import find_files
from carbrand.photos.photo import UnreadablePhoto, open_photo
from tests.support.hostile_photos import LOSSY, QUARTERS, quarters

pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
# Of Exif: as a phone that was held upright stores it.
ORIENTATION, TURNED = 0x0112, 6


def heic(photo: Image.Image, **how: object) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(photo).save(file, quality=95, chroma=444, **how)
    return file.getvalue()


def corners(photo: Image.Image) -> np.ndarray:
    """The colours of the four quarters."""
    right, low = photo.width - 5, photo.height - 5
    return np.array(
        [photo.getpixel(place) for place in [(4, 4), (right, 4), (4, low), (right, low)]]
    )


@pytest.mark.parametrize("name", ["a.heic", "a.HIF", "a.jpg"])
def test_its_pixels_are_right_whatever_its_name(name):
    photo = open_photo(name, heic(quarters()))
    assert (photo.mode, photo.size) == ("RGB", quarters().size)
    assert np.abs(corners(photo) - np.array(QUARTERS)).max() <= LOSSY
    assert photo.info["source_format"] == "HEIF"
    assert extension_fits(name, "HEIF") == (name != "a.jpg")


def test_a_turned_photo_comes_out_upright_and_knows_its_camera():
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F] = TURNED, "Phone"
    lying = quarters().transpose(Image.Transpose.ROTATE_90)
    photo = open_photo("a.heic", heic(lying, exif=exif.tobytes()))
    assert np.abs(corners(photo) - np.array(QUARTERS)).max() <= LOSSY
    assert photo.info["camera"] == "Phone"


def test_colours_of_phones_become_srgb_as_those_of_a_png_do():
    wide = quarters()
    wide.info["icc_profile"] = rgb_profile(DISPLAY_P3, SRGB_CURVE)
    png = io.BytesIO()
    wide.save(png, "PNG", icc_profile=wide.info["icc_profile"])
    expected, found = open_photo("a.png", png.getvalue()), open_photo("a.heic", heic(wide))
    assert "colour_profile" in found.info["oddities"]
    assert np.abs(corners(expected) - np.array(QUARTERS)).max() > LOSSY
    assert np.abs(corners(found) - corners(expected)).max() <= LOSSY


def test_transparency_is_white():
    half = quarters().convert("RGBA")
    half.paste((0, 0, 0, 0), (0, 0, half.width // 2, half.height))
    photo = open_photo("a.heic", heic(half))
    assert photo.info["oddities"] == ("alpha",)
    assert (corners(photo)[[0, 2]] > 255 - LOSSY).all()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.999])
def test_a_cut_file_is_told(share):
    data = heic(quarters())
    data = data[: int(len(data) * share)]
    with pytest.raises(UnreadablePhoto, match=f"truncated after {len(data):,} bytes") as told:
        open_photo("a.heic", data)
    assert told.value.code == "truncated"


def test_no_changed_byte_ends_in_anything_but_a_photo_or_a_reason():
    data = heic(quarters())
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        changed = bytearray(data)
        for place in rng.integers(12, len(data), 3):
            changed[place] = rng.integers(256)
        try:
            assert open_photo("a.heic", bytes(changed)).mode == "RGB"
        except UnreadablePhoto:
            refused += 1
    assert 0 < refused < 150


@pytest.mark.parametrize(
    ("size", "said"),
    # HEVC has blocks of 16, and a box that cuts off what is too much.
    [((64, 64), "10000x10000 pixels, at most 50,000,000"), ((48, 40), "a part of 10000x10000 pix")],
)
def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(size, said):
    data = bytearray(heic(Image.new("RGB", size, "red")))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = (10_000).to_bytes(4, "big") * 2
    with pytest.raises(UnreadablePhoto, match=said) as told:
        open_photo("a.heic", bytes(data))
    assert told.value.code == "too_large"


def test_a_folder_of_them_is_one_of_photos(tmp_path):
    (tmp_path / "asta").mkdir()
    (tmp_path / "asta" / "IMG_1.HEIC").write_bytes(heic(quarters()))
    (file,) = find_files(Path(tmp_path), "train")
    assert file.is_photo
    assert not file.is_unsupported_photo


def test_without_the_extra_it_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(heif_file, "IS_READ", False)
    with pytest.raises(UnreadablePhoto) as told:
        open_photo("a.jpg", heic(quarters()))
    assert told.value.code == "unsupported_format"
    assert told.value.reason == (
        "HEIC, which is not supported: pip install '.[heic]', or convert it to JPEG"
    )
