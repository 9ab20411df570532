"""Broken photos that decode without a complaint are told from whole ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from carbrand.photos.decode.damage import find_damage, is_cut_off
from carbrand.photos.photo import UnreadablePhoto, open_photo
from tests.conftest import draw_photo


def saved(format: str, mode: str = "RGB", **options) -> bytes:
    buffer = io.BytesIO()
    draw_photo((120, 90, 60), 1, (160, 120)).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def flip(data: bytes, start: int, seed: int, count: int = 8) -> bytes:
    rng, flipped = np.random.default_rng(seed), bytearray(data)
    for place in rng.integers(start, len(data) - 16, count):
        flipped[place] ^= int(rng.integers(1, 256))
    return bytes(flipped)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"quality": 5}, {"optimize": True}],
)
def test_a_whole_jpeg_is_not_called_damaged(mode, options):
    assert find_damage(saved("JPEG", mode, **options)) is None


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_whole_photo_of_another_format_is_not_called_damaged(format):
    assert find_damage(saved(format)) is None


def test_most_jpegs_with_8_changed_bytes_are_found():
    data = saved("JPEG")
    start, found, changed = data.index(b"\xff\xda") + 20, 0, 60
    for seed in range(changed):
        flipped = flip(data, start, seed)
        try:
            open_photo("a.jpg", flipped)
            found += find_damage(flipped) is not None
        except UnreadablePhoto:
            found += 1
    assert found >= 0.75 * changed


def test_the_reason_is_words():
    data = saved("JPEG")
    reasons = {find_damage(flip(data, 700, seed)) for seed in range(10)} - {None}
    assert any("orrupt JPEG data" in str(reason) for reason in reasons)


def test_a_png_with_a_wrong_checksum_is_damaged():
    data = bytearray(saved("PNG"))
    data[data.rindex(b"IDAT") + 200] ^= 1
    assert find_damage(bytes(data)) == "a wrong checksum of its IDAT data"


END = b"\xff\xd9"
NOISE = np.random.default_rng(3).bytes(20_000)
CODINGS: dict[str, dict] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "exif thumbnail": {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0" + bytes(4) + saved("JPEG")},
}


def verdict(data: bytes) -> str:
    """What `validate` says of a JPEG."""
    try:
        open_photo("a.jpg", data)
    except UnreadablePhoto as error:
        return error.code
    if not find_damage(data):
        return "whole"
    return "truncated" if is_cut_off(data) else "damaged"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_a_cut_jpeg_is_truncated_whatever_was_put_behind_it(mode, coding, share):
    whole = saved("JPEG", mode, **CODINGS[coding])
    cut = whole[: int(len(whole) * share)]
    missing = len(whole) - len(cut)
    paddings = {
        "nothing": b"",
        "an end marker": END,
        "zeros": bytes(missing),
        "many zeros": bytes(50_000),
        "zeros and an end marker": bytes(missing) + END,
        "ones": b"\xff" * missing,
        "noise": NOISE,
        "another photo": whole,
    }
    found = {name: verdict(cut + padding) for name, padding in paddings.items()}
    assert found == dict.fromkeys(paddings, "truncated")


@pytest.mark.parametrize("coding", ["baseline", "progressive", "restarts"])
def test_a_page_inside_a_jpeg_is_damage(coding):
    whole = saved("JPEG", **CODINGS[coding])
    middle = (whole.index(b"\xff\xda") + len(whole)) // 2
    page = b"<html><body>502 Bad Gateway</body></html>" * 4
    assert verdict(whole[:middle] + page + whole[middle:]) == "damaged"


@pytest.mark.parametrize("coding", CODINGS)
def test_what_lies_behind_a_whole_jpeg_does_not_matter(coding):
    whole = saved("JPEG", **CODINGS[coding])
    for more in (bytes(5000), NOISE, whole, whole[: len(whole) // 2], b"\xff\xda" * 5000):
        assert verdict(whole + more) == "whole"


@pytest.mark.parametrize("level", [128, 255])
def test_a_photo_that_ends_in_grey_or_white_is_whole(level):
    photo = draw_photo((120, 90, 60), 1, (160, 120))
    photo.paste((level,) * 3, (0, 60, 160, 120))
    for options in ({}, {"optimize": True}, {"progressive": True}):
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", **options)
        assert verdict(buffer.getvalue()) == "whole"


def test_a_png_of_which_the_rest_is_zeros_is_truncated():
    data = bytearray(saved("PNG"))
    data[data.rindex(b"IDAT") + 200] ^= 1
    assert not is_cut_off(bytes(data))
    assert is_cut_off(bytes(data)[:-12] + bytes(500))


def test_the_article_has_no_damaged_photo(article_photos: Path):
    found = {path.name for path in article_photos.rglob("*.*") if find_damage(path.read_bytes())}
    assert not found
