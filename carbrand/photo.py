"""The one way a file becomes pixels: for validating, training, evaluating and predicting alike.

Every photo is read by `open_photo`, so what a phone, a scanner or the web made of it (EXIF
rotation, palette, CMYK, 16 bits, transparency, animation) comes out as the same upright 8-bit RGB.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from carbrand.errors import UserError

# An allow-list: Pillow would start Ghostscript for EPS bytes in a file named .jpg.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
# Checked against the header, before a pixel is decoded: 3 bytes each, so 300 MB at most.
MAX_PIXELS = 100_000_000

ResizePolicy = Literal["stretch", "crop", "pad"]
RESIZE_POLICIES: tuple[ResizePolicy, ...] = ("stretch", "crop", "pad")
# Letterbox bars: the mean of ImageNet, which a backbone sees as "nothing here".
PAD_COLOUR = (124, 116, 104)


class UnreadablePhoto(UserError):
    """The file is no photo that can be read; `reason` says why, without the path."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path} is not a readable photo ({reason}). Replace or remove it.")
        self.reason = reason


def open_photo(path: Path | str, data: bytes | None = None) -> Image.Image:
    """The photo as an upright RGB image of 8 bits, its original size kept.

    Transparent pixels are laid on white; 16-bit grey is scaled, not clipped; of an animation, the
    first frame is taken. `data` are the bytes of the file where the caller has them already.
    `info["source_format"]` and `info["source_mode"]` of the image say what the file held.

    Raises UnreadablePhoto.
    """
    try:
        data = Path(path).read_bytes() if data is None else data
    except OSError as error:
        raise UnreadablePhoto(path, error.strerror or "cannot be opened") from None
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
    except (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError) as error:
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
    upright = ImageOps.exif_transpose(photo)
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


def _scale_to_8_bits(photo: Image.Image) -> Image.Image:
    """Deep grey to 8 bits by its full range; Pillow's own conversion clips everything to white."""
    values = np.asarray(photo, dtype=np.float64)
    if photo.mode == "F":
        top = 1.0 if values.size and np.nanmax(values) <= 1.0 else 255.0
    else:
        top = 65535.0 if values.size and values.max() > 255 else 255.0
        top = 65535.0 if photo.mode.startswith("I;16") else top
    scaled = np.nan_to_num(values * (255.0 / top), nan=0.0)
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8), mode="L")


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
