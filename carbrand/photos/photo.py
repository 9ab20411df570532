"""Decoding of photos, the same in validation, training, evaluation and prediction.

`open_photo` turns every photo (EXIF rotation, palette, CMYK, 16 bits, transparency, animation) into
an upright 8-bit RGB image.
"""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from carbrand.node.errors import UserError
from carbrand.photos.decode.colour_profile import Colours, read_colours
from carbrand.photos.decode.damage import ends_in_padding, find_damage, is_cut_off
from carbrand.photos.decode.deep_grey import scale_deep_grey
from carbrand.photos.decode.exif import TRANSPOSITIONS, Tags, read_tags
from carbrand.photos.decode.formats import (
    HEIC,
    SUFFIXES_OF,
    describe_other_file,
    has_more_frames,
    identify,
    is_truncated,
    name_unsupported_format,
)
from carbrand.photos.decode.heif_file import open_heif
from carbrand.photos.decode.jpeg_file import read_jpeg
from carbrand.photos.decode.png_file import without_colour_chunks
from carbrand.photos.decode.transparency import composite_on_white
from carbrand.photos.manifest import Row
from carbrand.photos.photo_limits import MAX_BYTES, MAX_PIXELS, bits_per_channel, too_large_reason
from carbrand.photos.resizing import ResizePolicy, resize

# An allow-list: Pillow would start Ghostscript for EPS data in a file named .jpg. The classes are
# called directly, because Image.open hides why a file cannot be identified, and fails on phone
# photos (MPO) whose second picture is invalid, although only the first is needed.
_READERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "TIFF": TiffImageFile,
    "HEIF": open_heif,
}
_LONGEST_WORDS = 200
FORMATS = tuple(SUFFIXES_OF)
SUFFIXES = frozenset(suffix for suffixes in SUFFIXES_OF.values() for suffix in suffixes)
# Codes of unusual properties, in the order of `info["oddities"]`.
ODDITIES = (
    *("sixteen_bit", "cmyk", "colour_profile", "unusable_profile", "palette", "alpha"),
    *("exif_rotated", "animated"),
)
# Codes of why a file cannot be read.
PROBLEMS = ("unreadable", "truncated", "unsupported_format", "too_large")

UNREAD_HEIC = "HEIC, which is not supported: pip install '.[heic]', or convert it to JPEG"
CUT_OFF = "truncated: the rest of the picture is missing"

# Pillow's messages about variants of a format that it does not support.
_UNSUPPORTED_VARIANT = re.compile(
    r"unsupported|not supported|unknown pixel mode|unknown data organization|cannot handle", re.I
)
# Messages of Pillow and libheif.
_CUT = re.compile("truncated|end of file|insufficient input|cannot read full", re.I)
# .dvc/cache/files/md5/0a/1b2c…, and without `files/md5` before DVC 3.
_IN_DVC_CACHE = re.compile(r"/[0-9a-f]{2}/[0-9a-f]{30}$")

_DECODERS_RAISE = (
    *(OSError, ValueError, SyntaxError, TypeError, AttributeError, RuntimeError, ImportError),
    *(
        LookupError,
        ArithmeticError,
        EOFError,
        AssertionError,
        BufferError,
        struct.error,
        zlib.error,
    ),
)


class UnreadablePhoto(UserError):
    """A file that is not a readable photo.

    reason: why, without the path; code: one of PROBLEMS.
    """

    def __init__(self, path: Path | str, reason: str, code: str = "unreadable") -> None:
        super().__init__(f"{path} is not a readable photo ({reason}). Replace or remove it.")
        self.path = str(path)
        self.reason = reason
        self.code = code

    def without_frames(self) -> UnreadablePhoto:
        """Itself, to be kept: its traceback and context would hold the bytes of the file."""
        self.__traceback__ = self.__context__ = None
        return self


def read_file(path: Path | str) -> bytes:
    """Read the bytes of a photo. Raises UnreadablePhoto."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # opening a pipe would block
            raise UnreadablePhoto(path, "not a regular file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            reason = f"{size / 1e6:,.0f} MB, at most {MAX_BYTES / 1e6:,.0f} MB"
            raise UnreadablePhoto(path, reason, "too_large")
        return path.read_bytes()
    except OSError as error:
        raise UnreadablePhoto(path, error.strerror or str(error)) from None


def links_outside(path: Path | str, folder: Path | str) -> bool:
    """Whether `path` is a link to a file outside `folder`, which a clone would lack.

    Links into DVC's cache do not count: DVC makes them in every clone.
    """
    if not Path(path).is_symlink():
        return False
    target = os.path.realpath(path)
    inside = target.startswith(os.path.join(os.path.realpath(folder), ""))  # noqa: PTH118
    return not inside and not _IN_DVC_CACHE.search(Path(target).as_posix())


def open_photo(
    path: Path | str, data: bytes | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Decode a photo into an upright 8-bit RGB image of its original size.

    Colours are converted to sRGB, transparency is composited on white, 16-bit grey is scaled (not
    clipped), and of several frames or pages the first is taken.
    data: the bytes of the file, if known. max_pixels: a limit besides those of `photo_limits`.
    `info` of the image: "source_format" and "source_mode" of the file; "oddities", a tuple of those
    of ODDITIES that apply; "profile_problem", why its colour profile is not used; "taken" and
    "camera" as in `decode/exif.py`.
    Raises UnreadablePhoto.
    """
    data = read_file(path) if data is None else data
    if not data:
        raise UnreadablePhoto(path, "0 bytes")
    format = _identify(path, data)
    try:
        with warnings.catch_warnings():
            # Pillow warns of invalid tags; those that matter are errors or oddities here.
            warnings.simplefilter("ignore")
            return _to_rgb(*_decode(path, data, format, max_pixels), data, format)
    except (Image.DecompressionBombError, MemoryError):
        raise UnreadablePhoto(path, "too many pixels", "too_large") from None
    # Pillow's decoders may raise any of these on invalid data.
    except _DECODERS_RAISE as error:
        raise UnreadablePhoto(path, *_explain_error(error, data, format)) from None


def _identify(path: Path | str, data: bytes) -> str:
    unsupported = name_unsupported_format(path, data)
    if unsupported:
        reason = f"{unsupported}, which is not supported: convert it to JPEG"
        reason = UNREAD_HEIC if unsupported == HEIC else reason
        raise UnreadablePhoto(path, reason, "unsupported_format")
    format = identify(data)
    if not format:
        if is_truncated(data):
            raise UnreadablePhoto(path, _truncated_after(data), "truncated")
        other = describe_other_file(data)
        known = f"none of {', '.join(FORMATS)}"
        raise UnreadablePhoto(path, f"{other}, {known}" if other else known)
    return format


def _explain_error(error: Exception, data: bytes, format: str) -> tuple[str, str]:
    """The reason and the code for an exception of a decoder."""
    words = re.sub(r"<[^>]*>", "it", " ".join(str(error).split()))
    if _CUT.search(words) or is_truncated(data, format):
        return _truncated_after(data), "truncated"
    if format == "JPEG" and is_cut_off(data):
        return CUT_OFF, "truncated"
    if "too large" in words.lower():  # texts and profiles of a PNG
        return "its compressed data is far too large when unpacked", "too_large"
    if _UNSUPPORTED_VARIANT.search(words):
        reason = f"an unsupported kind of {format}, {words}: convert it to JPEG"
        return reason, "unsupported_format"
    # Some of Pillow's messages quote the whole file.
    quotes = not words or len(words) > _LONGEST_WORDS or isinstance(error, LookupError)
    detail = type(error).__name__ if quotes else words
    return f"its {format} data is broken: {detail}", "unreadable"


def _truncated_after(data: bytes) -> str:
    return f"truncated after {len(data):,} bytes"


def _decode(
    path: Path | str, data: bytes, format: str, max_pixels: int
) -> tuple[ImageFile.ImageFile, Colours]:
    """Decode the photo; `info["tags"]` are its Tags. And its colour conversion."""
    seen = without_colour_chunks(data) if format == "PNG" else data
    photo = _READERS[format](io.BytesIO(seen))
    colours = read_colours(photo, data, format)
    jpeg = read_jpeg(data) if format == "JPEG" else None
    if not all(photo.size):
        raise UnreadablePhoto(path, f"{photo.width}x{photo.height} pixels")
    too_large = too_large_reason(photo, data, jpeg, colours.convert is not None, max_pixels)
    if too_large:
        raise UnreadablePhoto(path, too_large, "too_large")
    # Pillow rotates a TIFF and drops the tag in `load`. Reading the tag of a PNG decodes its
    # pixels, whose errors must not be taken for errors of the tag.
    tags = read_tags(photo) if format == "TIFF" else None
    photo.load()  # `verify` does not notice a truncated file; only decoding does
    photo.info["tags"] = tags or read_tags(photo)
    if jpeg and (
        jpeg.is_truncated or (not jpeg.needs_all_scans and _is_cut_and_padded(photo, data))
    ):
        raise UnreadablePhoto(path, CUT_OFF, "truncated")
    return photo, colours


def _is_cut_and_padded(photo: Image.Image, data: bytes) -> bool:
    """Whether a single-scan JPEG was cut off; only checked if it ends in grey or padding."""
    bottom = photo.crop((0, photo.height - 1, *photo.size)).getextrema()
    ends = bottom if isinstance(bottom[0], tuple) else (bottom,)
    grey = all(127 <= low == high <= 128 for low, high in ends)
    return (grey or ends_in_padding(data)) and find_damage(data) is not None and is_cut_off(data)


def _to_rgb(photo: ImageFile.ImageFile, colours: Colours, data: bytes, format: str) -> Image.Image:
    source_mode, tags = photo.mode, cast("Tags", photo.info["tags"])
    oddities = {
        "sixteen_bit": bits_per_channel(photo, data) > 8,
        "cmyk": source_mode == "CMYK",
        "colour_profile": colours.convert is not None,
        "unusable_profile": bool(colours.problem),
        "palette": source_mode in ("P", "PA"),
        "exif_rotated": tags.orientation != 1,
        "animated": _is_animated(photo, data, format),
    }
    # `ImageOps.exif_transpose` rewrites all tags, and fails on invalid ones.
    turn = None if format == "TIFF" else TRANSPOSITIONS.get(tags.orientation)
    upright = photo if turn is None else photo.transpose(turn)
    if turn is not None:
        photo.close()  # to hold no third copy of a large photo in memory
    convert = colours.convert or _unchanged
    if upright.mode.startswith("I") or upright.mode == "F":
        grey, oddities["alpha"] = scale_deep_grey(upright, data, format)
        rgb = convert(grey)
    # Palette and RGB photos may have a transparent colour.
    elif upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info:
        rgb, oddities["alpha"] = composite_on_white(upright, data, format, turn, colours.convert)
    else:
        for_print = colours.convert and upright.mode == "CMYK"
        rgb, oddities["alpha"] = convert(upright if for_print else upright.convert("RGB")), False
    rgb.info = {
        "source_format": format,
        "source_mode": source_mode,
        "oddities": tuple(code for code in ODDITIES if oddities[code]),
        "profile_problem": colours.problem,
        "taken": tags.taken,
        "camera": tags.camera,
    }
    return rgb


def _unchanged(photo: Image.Image) -> Image.Image:
    return photo


def _is_animated(photo: ImageFile.ImageFile, data: bytes, format: str) -> bool:
    if format in ("PNG", "WEBP", "HEIF"):  # known from the header
        return bool(getattr(photo, "is_animated", False))
    return has_more_frames(data, format)


def read_photo(path: Path | str, size_px: int, policy: ResizePolicy) -> np.ndarray:
    """Decode and resize: (size_px, size_px, 3) uint8 RGB. Raises UnreadablePhoto."""
    return np.asarray(resize(open_photo(path), size_px, policy))


def other_decoders(rows: Iterable[Row]) -> tuple[str, ...]:
    """The packages besides Pillow that decode these photos: another version gives other pixels."""
    return ("pillow-heif",) if any(row.format == "HEIF" for row in rows) else ()
