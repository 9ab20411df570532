"""What people, sites and cameras do to a photo: planted where copies have to be found."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageOps


def jpeg(photo: Image.Image, quality: int) -> Image.Image:
    """The photo after it was saved with losses."""
    data = io.BytesIO()
    photo.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def half(photo: Image.Image) -> Image.Image:
    """The photo, half as wide and high."""
    return photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.BICUBIC)


def with_border(photo: Image.Image, colour: str) -> Image.Image:
    """The photo in a plain frame."""
    return ImageOps.expand(photo, max(photo.size) // 15, colour)


def crop(photo: Image.Image, right: float = 0.3, down: float = 0.7) -> Image.Image:
    """80 % of width and height; `right` and `down` say where, 0…1."""
    width, height = round(photo.width * 0.8), round(photo.height * 0.8)
    left, top = round((photo.width - width) * right), round((photo.height - height) * down)
    return photo.crop((left, top, left + width, top + height))


Edit = Callable[[Image.Image], Image.Image]
# Those that a hash finds.
EDITS: dict[str, Edit] = {
    "saved anew": lambda photo: jpeg(photo, 40),
    "half as large": half,
    "mirrored": ImageOps.mirror,
    "brighter": lambda photo: ImageEnhance.Brightness(photo).enhance(1.3),
    "darker": lambda photo: ImageEnhance.Brightness(photo).enhance(0.6),
    "flatter": lambda photo: ImageEnhance.Contrast(photo).enhance(0.6),
    "grey": lambda photo: photo.convert("L").convert("RGB"),
    "black border": lambda photo: with_border(photo, "black"),
    "white border": lambda photo: with_border(photo, "white"),
    "red border": lambda photo: with_border(photo, "red"),
    "mirrored, border": lambda photo: with_border(ImageOps.mirror(photo), "black"),
    "stretched": lambda photo: photo.resize((round(photo.width * 1.15), photo.height)),
}
# Those that only vectors find.
CROPS: dict[str, Edit] = {
    "crop": crop,
    "crop at a corner": lambda photo: crop(photo, 1.0, 0.0),
    "central crop": lambda photo: crop(photo, 0.5, 0.5),
    "mirrored crop": lambda photo: crop(ImageOps.mirror(photo)),
    "crop, saved anew": lambda photo: jpeg(crop(photo), 40),
}
