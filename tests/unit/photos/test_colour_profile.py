"""Colours come out as sRGB, whatever space a file keeps them in; a broken profile is told."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms

from carbrand.checks.inspection import PhotoLimits, inspect_file
from carbrand.photos import photo_limits
from carbrand.photos.decode import colour_profile
from carbrand.photos.decode.icc_file import (
    ADOBE_RGB,
    DISPLAY_P3,
    REC_2020,
    SRGB,
    SRGB_CURVE,
    rgb_profile,
)
from carbrand.photos.folders.files import FoundFile
from carbrand.photos.photo import UnreadablePhoto, open_photo
from tests.support.profiles import PRO_PHOTO, cmyk_profile, grey_profile, icc
from tests.unit.photos.test_photo import png_chunk

SPACES = {
    "Display P3": rgb_profile(DISPLAY_P3, SRGB_CURVE),
    "Adobe RGB": rgb_profile(ADOBE_RGB, (563 / 256,)),
    "ProPhoto": PRO_PHOTO,
    "Rec. 2020": rgb_profile(REC_2020, (2.4,)),
}
# Of (200, 30, 40) in Display P3: CSS Color 4 gives rgb(218.2 0 27.4), clipped.
P3_RED, SRGB_RED = (200, 30, 40), (218, 0, 27)
CONVERTED, UNUSABLE = ("colour_profile",), ("unusable_profile",)
LOSSLESS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def drawn(mode: str = "RGB") -> Image.Image:
    """Noise in colours all over the space, smooth enough for JPEG."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC).convert(mode)


def saved(photo: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, format, **options)
    return buffer.getvalue()


def png_with(photo: Image.Image, *chunks: tuple[bytes, bytes]) -> bytes:
    data = saved(photo, "PNG")
    return data[:33] + b"".join(png_chunk(*chunk) for chunk in chunks) + data[33:]


def reference(photo: Image.Image, profile: bytes) -> np.ndarray:
    """What ImageCms makes of it."""
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    done = ImageCms.profileToProfile(photo, own, srgb, intent, "RGB")
    return np.asarray(done, dtype=int)


def off(photo: Image.Image, expected: np.ndarray) -> int:
    return int(np.abs(np.asarray(photo, dtype=int) - expected).max())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("format", LOSSLESS)
def test_colours_of_another_space_become_those_of_srgb(space, format):
    data = saved(drawn(), format, icc_profile=SPACES[space], **LOSSLESS[format])
    photo = open_photo("a", data)
    assert photo.info["oddities"] == CONVERTED
    assert off(photo, reference(drawn(), SPACES[space])) <= 2
    assert off(photo, np.asarray(drawn(), int)) > 20


def test_colours_of_a_jpeg_are_converted_too():
    data = saved(Image.new("RGB", (32, 32), P3_RED), "JPEG", icc_profile=SPACES["Display P3"])
    assert off(open_photo("a", data), np.array(SRGB_RED)) <= 5


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_colour_is_the_one_that_the_standard_says(mode):
    photo = Image.new("RGB", (4, 4), P3_RED)
    photo = photo.quantize(1) if mode == "P" else photo.convert(mode)
    data = saved(photo, "PNG", icc_profile=SPACES["Display P3"])
    assert open_photo("a", data).getpixel((1, 1)) == SRGB_RED


def test_what_is_transparent_is_white_in_any_space():
    photo = Image.new("RGBA", (4, 4), (*P3_RED, 255))
    photo.paste((0, 0, 0, 0), (2, 2, 4, 4))
    for profile in (SPACES["Display P3"], SPACES["ProPhoto"]):
        opened = open_photo("a", saved(photo, "PNG", icc_profile=profile))
        assert opened.info["oddities"] == ("colour_profile", "alpha")
        assert opened.getpixel((3, 3)) == (255, 255, 255)
    key = saved(photo.convert("RGB"), "PNG", icc_profile=SPACES["Display P3"], transparency=P3_RED)
    opened = open_photo("a", key)
    assert [opened.getpixel((0, 0)), opened.getpixel((3, 3))] == [(255, 255, 255), (0, 0, 0)]


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_of_another_gamma_is_converted(mode):
    values = np.linspace(0, 255, 16).round().astype(np.uint8)[None]
    grey = Image.fromarray(values)
    photo = (
        Image.fromarray(values.astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    )
    opened = open_photo("a", saved(photo, "PNG", icc_profile=grey_profile(1.0)))
    assert "colour_profile" in opened.info["oddities"]
    assert off(opened, reference(grey, grey_profile(1.0))) <= 1
    assert np.asarray(opened)[0, 8, 0] > 180  # linear light 136


def test_inks_are_looked_up_in_their_profile():
    photo = drawn("CMYK")
    for format in ("TIFF", "JPEG"):
        plain = open_photo("a", saved(photo, format))
        opened = open_photo("a", saved(photo, format, icc_profile=cmyk_profile()))
        assert opened.info["oddities"] == ("cmyk", "colour_profile")
        assert off(opened, np.asarray(plain, int)) > 20
    opened = open_photo("a", saved(photo, "TIFF", icc_profile=cmyk_profile()))
    assert np.abs(np.asarray(opened, int) - reference(photo, cmyk_profile())).mean() < 20


def tabled_srgb() -> bytes:
    """As old profiles of sRGB have it: a table of 1,024 values, and colorants that add up badly."""
    x = np.arange(1024) / 1023
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    values = (linear * 65535).round().astype(">u2").tobytes()
    curve = b"curv" + bytes(4) + struct.pack(">I", 1024) + values

    def xyz(*values: float) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * v) for v in values))

    colours = {
        b"wtpt": xyz(0.9505, 1, 1.0891),
        b"rXYZ": xyz(0.4361, 0.2225, 0.0139),
        b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
        b"bXYZ": xyz(0.1431, 0.0606, 0.7141),
    }
    return icc(b"RGB ", b"XYZ ", colours | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


SRGB_PROFILES = {
    "of Little CMS": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "by its numbers": rgb_profile(SRGB, SRGB_CURVE),
    "with a table": tabled_srgb(),
}


@pytest.mark.parametrize("name", SRGB_PROFILES)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_srgb_by_whatever_name_changes_nothing(name, mode):
    photo = drawn(mode)
    opened = open_photo("a", saved(photo, "PNG", icc_profile=SRGB_PROFILES[name]))
    assert opened.info["oddities"] == ()
    assert opened.tobytes() == open_photo("a", saved(photo, "PNG")).tobytes()


GAMMA, PRIMARIES = b"gAMA", b"cHRM"


def numbers(*values: float) -> bytes:
    return struct.pack(f">{len(values)}I", *(round(100_000 * value) for value in values))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_the_gamma_of_a_png_is_applied(mode):
    photo = Image.new("RGB", (4, 4), (128,) * 3)
    photo = photo.quantize(1) if mode == "P" else photo.convert(mode)
    opened = open_photo("a", png_with(photo, (GAMMA, numbers(1.0))))
    assert "colour_profile" in opened.info["oddities"]
    assert off(opened, np.array([188] * 3)) <= 1  # of linear 128, IEC 61966-2-1


def test_the_primaries_of_a_png_are_applied():
    photo = Image.new("RGB", (4, 4), P3_RED)
    opened = open_photo(
        "a", png_with(photo, (GAMMA, numbers(0.45455)), (PRIMARIES, numbers(*DISPLAY_P3)))
    )
    assert off(opened, np.array(SRGB_RED)) <= 1


@pytest.mark.parametrize(
    "chunks",
    [
        [(GAMMA, numbers(0.45455))],
        [(GAMMA, numbers(0.45455)), (PRIMARIES, numbers(*SRGB))],
        [(b"sRGB", b"\0"), (GAMMA, numbers(1.0))],
        [(b"cICP", b"\x01\x0d\0\x01"), (GAMMA, numbers(1.0))],
    ],
    ids=["gamma", "gamma and primaries", "said to be sRGB", "code points of sRGB"],
)
def test_a_png_that_says_that_it_is_srgb_stays(chunks):
    opened = open_photo("a", png_with(drawn(), *chunks))
    assert opened.info["oddities"] == ()
    assert opened.tobytes() == drawn().tobytes()


def test_code_points_go_before_a_profile_and_a_profile_before_a_gamma():
    profile = (b"iCCP", b"a\0\0" + zlib.compress(SPACES["Adobe RGB"]))
    p3, gamma = (b"cICP", b"\x0c\x0d\0\x01"), (GAMMA, numbers(1.0))
    photo = Image.new("RGB", (4, 4), P3_RED)
    assert off(open_photo("a", png_with(photo, p3, profile)), np.array(SRGB_RED)) <= 1
    first = open_photo("a", png_with(photo, profile, gamma))
    assert first.tobytes() == open_photo("a", png_with(photo, profile)).tobytes()


BROKEN = {
    "cut": SPACES["Display P3"][:200],
    "without tags": SPACES["Display P3"][:128] + bytes(4),
    "only zeros": bytes(500),
    "for print": cmyk_profile(2),
    "for grey": grey_profile(1.8),
    "black": rgb_profile(SRGB, SRGB_CURVE).replace(b"para", b"parb"),
    "of a link": SPACES["Display P3"].replace(b"mntr", b"link"),
    "huge": SPACES["Display P3"] + bytes(9_000_000),
    "a chain": SPACES["Display P3"] + b"mpet",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_profile_that_cannot_be_used_is_told_and_the_photo_read_without(name, format):
    options = LOSSLESS.get(format, {})
    opened = open_photo("a", saved(drawn(), format, icc_profile=BROKEN[name], **options))
    assert opened.info["oddities"] == UNUSABLE
    assert opened.info["profile_problem"].startswith("its colour profile is not used: ")
    assert opened.tobytes() == open_photo("a", saved(drawn(), format, **options)).tobytes()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_for_other_pixels_is_not_used(mode):
    opened = open_photo("a", saved(drawn(mode), "TIFF", icc_profile=SPACES["Display P3"]))
    assert "unusable_profile" in opened.info["oddities"]
    assert opened.tobytes() == open_photo("a", saved(drawn(mode), "TIFF")).tobytes()


def test_the_manifest_says_why_a_profile_is_not_used(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(drawn(), "PNG", icc_profile=BROKEN["for print"]))
    file = FoundFile(str(path), "train", "b", ("b", path.name))
    row = inspect_file(file, PhotoLimits((tmp_path,), 10**6, 1, 9.0)).row
    assert "unusable_profile" in row.issues
    assert row.reason == "its colour profile is not used: it is for CMYK colours, not for RGB"


def test_a_photo_to_be_converted_may_have_half_the_pixels(monkeypatch):
    monkeypatch.setattr(photo_limits, "MAX_PIXELS_PNG", 64 * 48 * 2 - 1)
    open_photo("a", saved(drawn(), "PNG"))
    with pytest.raises(UnreadablePhoto, match="with a colour profile, at most"):
        open_photo("a", saved(drawn(), "PNG", icc_profile=SPACES["Display P3"]))


def test_threads_get_the_same_bytes():
    files = [saved(drawn(), "PNG", icc_profile=profile) for profile in SPACES.values()] * 8
    expected = [open_photo("a", data).tobytes() for data in files]
    colour_profile._build.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda data: open_photo("a", data).tobytes(), files)) == expected
