"""HEIC, which phones write: read by libheif where the extra `heic` is installed.

A file is a row of boxes (ISO/IEC 14496-12), of which `meta` describes the pictures.
"""

from __future__ import annotations

import importlib.util
import io
import math
import re
import struct
from collections.abc import Iterator
from typing import Any

from PIL import ImageFile

IS_READ = importlib.util.find_spec("pillow_heif") is not None
HEIC_SUFFIXES = (".heic", ".heif", ".hif")
# The box of a picture's width and height (ISO/IEC 23008-12, 6.5.3).
_EXTENTS = re.compile(rb"ispe.{4}(.{8})", re.DOTALL)

# A photo has three.
_MOST_BOXES = 1000


def open_heif(file: io.BytesIO) -> ImageFile.ImageFile:
    """Open a photo, which libheif rotates, and scales from 10 bits to 8."""
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1  # several photos are decoded at a time
    reader: Any = pillow_heif.HeifImageFile
    return reader(file)


def largest_picture(data: bytes) -> tuple[int, int]:
    """Width and height of the largest picture that the file is cut or put together from."""
    sizes = [(0, 0)]
    for kind, start, end in _boxes(data):
        meta = data[start:end] if kind == b"meta" else b""
        sizes += [struct.unpack(">II", found) for found in _EXTENTS.findall(meta)]
    return max(sizes, key=math.prod)


def is_cut(data: bytes) -> bool:
    """Whether the last box does not end where the file ends."""
    return max((end for _, _, end in _boxes(data)), default=0) != len(data)


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each outermost box, where it begins, and where it ends, maybe beyond the data."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:  # 64 bits follow
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        end = at + size if size >= 8 else len(data)  # 0: to the end of the file
        yield data[at + 4 : at + 8], at, end
        at = end
