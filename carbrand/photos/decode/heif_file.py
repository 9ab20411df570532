"""HEIC, which phones write: read by libheif where the extra `heic` is installed.

A file is a row of boxes (ISO/IEC 14496-12), of which `meta` describes the pictures.
"""

from __future__ import annotations

import importlib.util
import io
import math
import re
import struct
from typing import Any

from PIL import ImageFile

IS_READ = importlib.util.find_spec("pillow_heif") is not None
HEIC_SUFFIXES = (".heic", ".heif", ".hif")
# The box of a picture's width and height (ISO/IEC 23008-12, 6.5.3).
_EXTENTS = re.compile(rb"ispe.{4}(.{8})", re.DOTALL)

# The outermost ones; a photo has three.
_MOST_BOXES = 100


def open_heif(file: io.BytesIO) -> ImageFile.ImageFile:
    """Open a photo, which libheif rotates, and scales from 10 bits to 8."""
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1  # several photos are decoded at a time
    reader: Any = pillow_heif.HeifImageFile
    return reader(file)


def largest_picture(data: bytes) -> tuple[int, int]:
    """Width and height of the largest picture that the file is cut or put together from."""
    sizes, at = [(0, 0)], 0
    for _ in range(_MOST_BOXES):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:  # 64 bits follow
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if data[at + 4 : at + 8] == b"meta":
            found = _EXTENTS.findall(data, at, at + size if size else len(data))
            sizes += [struct.unpack(">II", extents) for extents in found]
        at += max(size, 8)
    return max(sizes, key=math.prod)
