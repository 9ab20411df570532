"""From a photo of any size to the square that a network sees."""

from __future__ import annotations

from typing import Literal

from PIL import Image, ImageOps

ResizePolicy = Literal["stretch", "crop", "pad"]
RESIZE_POLICIES: tuple[ResizePolicy, ...] = ("stretch", "crop", "pad")
# Side of the square that a network sees; a model file that claims more would take all memory.
MAX_SIZE_PX = 1024
# Letterbox bars: the mean of ImageNet, which a backbone sees as "nothing here".
PAD_COLOUR = (124, 116, 104)


def resize(photo: Image.Image, size_px: int, policy: ResizePolicy) -> Image.Image:
    """The photo as a square of `size_px`: stretched, its centre cropped, or padded to fit."""
    square = (size_px, size_px)
    if policy == "stretch":
        return photo.resize(square, Image.Resampling.BICUBIC)
    if policy == "crop":
        return ImageOps.fit(photo, square, Image.Resampling.BICUBIC)
    return ImageOps.pad(photo, square, Image.Resampling.BICUBIC, color=PAD_COLOUR)
