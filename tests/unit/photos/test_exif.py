"""When and by which camera a photo was taken."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from carbrand.photos.photo import open_photo

TAGS = {0x010F: "Canon\n", 0x0110: " EOS  5D\0"}


def photo_with(tmp_path, taken: object, name: str = "a.jpg") -> dict[Any, Any]:
    exif = Image.Exif()
    exif.update(TAGS)
    exif.get_ifd(0x8769)[0x9003] = taken
    path = tmp_path / name
    Image.new("RGB", (20, 10)).save(path, exif=exif)
    return open_photo(path).info


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_time_and_camera_are_read(tmp_path, name):
    info = photo_with(tmp_path, "2024:05:01 10:20:30", name)
    assert (info["taken"], info["camera"]) == ("2024-05-01T10:20:30", "Canon EOS 5D")


def test_the_camera_of_a_tiff_is_read(tmp_path):
    """Its time is not tried: Pillow writes none into a TIFF."""
    assert photo_with(tmp_path, "2024:05:01 10:20:30", "a.tiff")["camera"] == "Canon EOS 5D"


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "yesterday", ""])
def test_a_time_that_is_none_is_unknown(tmp_path, taken):
    info = photo_with(tmp_path, taken)
    assert (info["taken"], info["camera"]) == ("", "Canon EOS 5D")


def test_without_tags_both_are_unknown(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (20, 10)).save(path)
    info = open_photo(path).info
    assert (info["taken"], info["camera"]) == ("", "")
