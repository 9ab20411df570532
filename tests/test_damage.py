"""Broken photos that decode without a complaint are told from whole ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from carbrand.damage import is_damaged
from carbrand.photo import UnreadablePhoto, open_photo
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
    assert is_damaged(saved("JPEG", mode, **options)) is None


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_whole_photo_of_another_format_is_not_called_damaged(format):
    assert is_damaged(saved(format)) is None


def test_most_jpegs_with_8_changed_bytes_are_found():
    data = saved("JPEG")
    start, found, changed = data.index(b"\xff\xda") + 20, 0, 60
    for seed in range(changed):
        flipped = flip(data, start, seed)
        try:
            open_photo("a.jpg", flipped)
            found += is_damaged(flipped) is not None
        except UnreadablePhoto:
            found += 1
    assert found >= 0.75 * changed


def test_the_reason_is_words():
    data = saved("JPEG")
    reasons = {is_damaged(flip(data, 700, seed)) for seed in range(10)} - {None}
    assert any("orrupt JPEG data" in str(reason) for reason in reasons)


def test_a_png_with_a_wrong_checksum_is_damaged():
    data = bytearray(saved("PNG"))
    data[data.rindex(b"IDAT") + 200] ^= 1
    assert is_damaged(bytes(data)) == "a wrong checksum of its IDAT data"


def test_the_article_has_no_damaged_photo(article_photos: Path):
    found = {path.name for path in article_photos.rglob("*.*") if is_damaged(path.read_bytes())}
    assert not found
