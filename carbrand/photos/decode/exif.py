"""EXIF tags: orientation, and when and by which camera a photo was taken.

Tag numbers: EXIF 2.32, tables 6 to 9. A missing or damaged tag is as if there were none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from PIL import Image

ORIENTATION = 0x0112
# What undoes each orientation.
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MAKE, _MODEL = 0x010F, 0x0110
_EXIF_FOLDER, _TAKEN = 0x8769, 0x9003


@dataclass(frozen=True)
class Tags:
    """orientation: 1 to 8; 1 is upright. taken: in the camera's local time, as ISO 8601, and
    camera: its make and model; both are empty if unknown.
    """

    orientation: int
    taken: str
    camera: str


def read_tags(photo: Image.Image) -> Tags:
    """The tags of an opened photo."""
    camera = filter(None, (_text(_tag(photo, tag)) for tag in (_MAKE, _MODEL)))
    return Tags(_orientation(photo), _taken_at(photo), " ".join(camera))


def _orientation(photo: Image.Image) -> int:
    value = _tag(photo, ORIENTATION)
    return value if isinstance(value, int) and value in TRANSPOSITIONS else 1


def _taken_at(photo: Image.Image) -> str:
    try:
        value = photo.getexif().get_ifd(_EXIF_FOLDER).get(_TAKEN, "")
        return datetime.strptime(_text(value), "%Y:%m:%d %H:%M:%S").isoformat()
    except Exception:  # as in `_tag`; also a time such as 0000:00:00
        return ""


def _tag(photo: Image.Image, tag: int) -> object:
    try:
        return photo.getexif().get(tag, "")
    except Exception:  # Pillow raises all kinds of errors for damaged tags
        return ""


def _text(value: object) -> str:
    """One line of printable text."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
