"""The one way a file becomes pixels: for validating, training, evaluating and predicting alike.

Every photo is read by `open_photo`, so what a phone, a scanner or the web made of it (EXIF
rotation, palette, CMYK, 16 bits, transparency, animation) comes out as the same upright 8-bit RGB.
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from carbrand.errors import UserError

# An allow-list: Pillow would start Ghostscript for EPS bytes in a file named .jpg.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
# Checked against the header, before a pixel is decoded; 12 bytes each at the worst (transparency).
MAX_PIXELS = 100_000_000
# The EXIF tag, and what undoes each of its values (EXIF 2.32, table 6).
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

ResizePolicy = Literal["stretch", "crop", "pad"]
RESIZE_POLICIES: tuple[ResizePolicy, ...] = ("stretch", "crop", "pad")
# Side of the square that a network sees; a model file that claims more would take all memory.
MAX_SIZE_PX = 1024
# Letterbox bars: the mean of ImageNet, which a backbone sees as "nothing here".
PAD_COLOUR = (124, 116, 104)

_DECODERS_RAISE = (
    *(OSError, ValueError, SyntaxError, TypeError, AttributeError, RuntimeError),
    *(LookupError, ArithmeticError, EOFError, struct.error),
)


class UnreadablePhoto(UserError):
    """The file is no photo that can be read; `reason` says why, without the path."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path} is not a readable photo ({reason}). Replace or remove it.")
        self.reason = reason


def read_file(path: Path | str) -> bytes:
    """The bytes of a photo's file. Raises UnreadablePhoto."""
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would block whoever opens it
        raise UnreadablePhoto(path, "not a regular file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadablePhoto(path, error.strerror or str(error)) from None


def open_photo(path: Path | str, data: bytes | None = None) -> Image.Image:
    """The photo as an upright RGB image of 8 bits, its original size kept.

    Transparent pixels are laid on white; 16-bit grey is scaled, not clipped; of an animation, the
    first frame is taken. `data` are the bytes of the file where the caller has them already.
    `info["source_format"]` and `info["source_mode"]` of the image say what the file held.

    Raises UnreadablePhoto.
    """
    data = read_file(path) if data is None else data
    if not data:
        raise UnreadablePhoto(path, "0 bytes")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large photos; the limit below is ours and is an error.
            warnings.simplefilter("ignore")
            return _to_rgb(_open(path, data))
    except UnidentifiedImageError:
        raise UnreadablePhoto(path, f"none of {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, MemoryError):
        raise UnreadablePhoto(path, "too many pixels") from None
    # Pillow's decoders raise whatever the bytes provoke; to the user it is all one thing.
    except _DECODERS_RAISE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadablePhoto(path, reason) from None


def _open(path: Path | str, data: bytes) -> Image.Image:
    photo = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = photo.size
    if width * height > MAX_PIXELS:
        raise UnreadablePhoto(path, f"{width}x{height} pixels, at most {MAX_PIXELS:,}")
    photo.load()  # `verify` does not notice a truncated file; only decoding does
    return photo


def _to_rgb(photo: Image.Image) -> Image.Image:
    source_format, source_mode = photo.format or "", photo.mode
    upright = _turn_upright(photo)
    if upright.mode.startswith("I") or upright.mode == "F":
        upright = _scale_to_8_bits(upright)
    # Also a palette or RGB photo may name one of its colours transparent.
    if upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        upright = Image.alpha_composite(white, layer)
    rgb = upright.convert("RGB")
    rgb.info = {"source_format": source_format, "source_mode": source_mode}
    return rgb


def _turn_upright(photo: Image.Image) -> Image.Image:
    """As the camera was held. `ImageOps.exif_transpose` would write all tags anew and fail on odd
    ones; of a damaged EXIF block nothing is needed but the orientation, or nothing.
    """
    try:
        turn = TURNS.get(photo.getexif().get(ORIENTATION, 1))
    except Exception:
        turn = None
    return photo if turn is None else photo.transpose(turn)


def _scale_to_8_bits(photo: Image.Image) -> Image.Image:
    """Deep grey to 8 bits by its full range; Pillow's own conversion clips everything to white."""
    values = np.asarray(photo)
    if photo.mode == "F":
        top = 1.0 if np.nanmax(values, initial=0.0) <= 1.0 else 255.0
        scaled = np.clip(np.nan_to_num(values) * (255 / top), 0, 255)
        return Image.fromarray(np.rint(scaled).astype(np.uint8))
    # A table instead of arithmetic: no copy of the photo in a wider type.
    sixteen_bits = photo.mode.startswith("I;16") or values.max(initial=0) > 255
    top = 65535 if sixteen_bits else 255
    table = np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)
    return Image.fromarray(table[np.clip(values, 0, top)])


def resize(photo: Image.Image, size_px: int, policy: ResizePolicy) -> Image.Image:
    """The photo as a square of `size_px`: stretched, its centre cropped, or padded to fit."""
    square = (size_px, size_px)
    if policy == "stretch":
        return photo.resize(square, Image.Resampling.BICUBIC)
    if policy == "crop":
        return ImageOps.fit(photo, square, Image.Resampling.BICUBIC)
    return ImageOps.pad(photo, square, Image.Resampling.BICUBIC, color=PAD_COLOUR)


def read_photo(path: Path | str, size_px: int, policy: ResizePolicy) -> np.ndarray:
    """What the model sees of a file: (size_px, size_px, 3) uint8 RGB. Raises UnreadablePhoto."""
    return np.asarray(resize(open_photo(path), size_px, policy))
