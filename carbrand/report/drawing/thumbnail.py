"""Thumbnails of photos and heat maps over them, for figures and pages."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image, ImageOps

from carbrand.photos.photo import open_photo

JPEG_QUALITY = 80
# Opacity of a heat map where the heat is 0 and where it is 1.
VEIL, GLOW = 0.15, 0.65


def thumbnail(path: str, size_px: int) -> Image.Image:
    """The photo, upright, its longer side `size_px` at most. Raises UnreadablePhoto."""
    photo = open_photo(path)
    photo.thumbnail((size_px, size_px), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return photo


def heat_overlay(photo: Image.Image, heat: np.ndarray) -> Image.Image:
    """`photo` in grey under its heat map: bright yellow is much evidence, dark is none.

    heat: (h, w) in 0…1, stretched over the whole photo.
    """
    from matplotlib import colormaps

    smooth = Image.fromarray(np.nan_to_num(np.asarray(heat, dtype=np.float32)), mode="F").resize(
        photo.size, Image.Resampling.BICUBIC
    )
    warmth = np.clip(np.asarray(smooth), 0.0, 1.0)  # (height, width); bicubic overshoots
    colour = colormaps["inferno"](warmth)[..., :3] * 255.0
    grey = np.asarray(ImageOps.grayscale(photo), dtype=np.float32)[..., None]
    opacity = (VEIL + (GLOW - VEIL) * warmth)[..., None]
    blend = grey * (1.0 - opacity) + colour * opacity
    return Image.fromarray(np.rint(blend).astype(np.uint8), mode="RGB")


def jpeg_uri(photo: Image.Image) -> str:
    """The image as a data URI for an <img>."""
    data = io.BytesIO()
    photo.save(data, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return _uri("image/jpeg", data.getvalue())


def png_uri(data: bytes) -> str:
    """The bytes of a PNG file as a data URI for an <img>."""
    return _uri("image/png", data)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
