"""Compositing of transparent photos on a white background.

Transparency is an alpha channel or a colour key (PNG, third edition, 11.3.1.1): pixels that equal
the key in all bits are transparent.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from carbrand.photos.decode.bands import Box, bands
from carbrand.photos.decode.colour_profile import Convert


def composite_on_white(
    photo: Image.Image,
    data: bytes,
    format: str,
    turn: Image.Transpose | None,
    convert: Convert | None,
) -> tuple[Image.Image, bool]:
    """Composite the photo on white, as RGB; also returns whether any pixel was transparent.

    data: the bytes of its file. turn: the transposition already applied to `photo`. convert: the
    conversion of its colours.
    """
    rgb, opaque = Image.new("RGB", photo.size), True
    # Most encoders of BMP set the fourth byte of every pixel to 0.
    if format == "BMP" and photo.getchannel("A").getextrema() == (0, 0):
        rgb = photo.convert("RGB")
        return convert(rgb) if convert else rgb, False
    key = _Key.of(photo, data, format, turn)
    for box in bands(photo.size):
        layer = key.to_rgba(photo, box) if key else photo.crop(box).convert("RGBA")
        opaque = opaque and layer.getchannel("A").getextrema()[0] == 255
        if convert:
            alpha = layer.getchannel("A")
            layer = convert(layer.convert("RGB"))
            layer.putalpha(alpha)
        white = Image.new("RGBA", layer.size, "white")
        rgb.paste(Image.alpha_composite(white, layer).convert("RGB"), box)
    return rgb, not opaque


@dataclass(frozen=True)
class _Key:
    """The colour key of a grey or RGB photo."""

    value: tuple[int, ...]
    deep: bytes = b""
    """The bytes of the file, if it has 16 bits, of which Pillow keeps the upper 8."""
    turn: Image.Transpose | None = None

    @staticmethod
    def of(
        photo: Image.Image, data: bytes, format: str, turn: Image.Transpose | None
    ) -> _Key | None:
        """The key of a photo, or None. (Pillow handles keys of palettes.)"""
        found = photo.info.get("transparency")
        if found is None or photo.mode not in ("1", "L", "RGB"):
            return None
        value = found if isinstance(found, tuple) else (found,)
        bits = data[24] if format == "PNG" else 8
        if bits > 8:
            return _Key(value, data, turn)
        if photo.mode == "1":
            return _Key(value)
        # Pillow scales fewer bits to 8.
        most = (1 << bits) - 1
        return _Key(tuple((level & most) * (255 // most) for level in value))

    @cached_property
    def low_bytes(self) -> Image.Image:
        """The lower byte of each channel: read as little-endian, it is the upper one."""
        photo = PngImageFile(io.BytesIO(self.deep))
        photo.tile = [tile._replace(args="RGB;16L") for tile in photo.tile]
        photo.load()
        return photo if self.turn is None else photo.transpose(self.turn)

    def to_rgba(self, photo: Image.Image, box: Box) -> Image.Image:
        """The part of the photo inside `box`, as RGBA."""
        part = photo.crop(box)
        pixels = np.asarray(part.convert("L") if part.mode == "1" else part)
        hit = _equals(pixels, [level >> 8 for level in self.value] if self.deep else self.value)
        if self.deep and hit.any():
            low = np.asarray(self.low_bytes.crop(box))
            hit &= _equals(low, [level & 255 for level in self.value])
        part.info.pop("transparency", None)
        layer = part.convert("RGBA")
        layer.putalpha(Image.fromarray(np.where(hit, 0, 255).astype(np.uint8)))
        return layer


def _equals(pixels: np.ndarray, value: Sequence[int]) -> np.ndarray:
    """(h, w) bool: which pixels, (h, w) or (h, w, 3), equal `value`."""
    planes = pixels.reshape(*pixels.shape[:2], -1)
    hit: np.ndarray = planes[..., 0] == value[0]
    for channel in range(1, planes.shape[2]):
        hit &= planes[..., channel] == value[channel]
    return hit
