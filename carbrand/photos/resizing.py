"""Resizing of photos to the square input of a network."""

from __future__ import annotations

from typing import Literal

from PIL import Image, ImageOps

ResizePolicy = Literal["stretch", "crop", "pad"]
RESIZE_POLICIES: tuple[ResizePolicy, ...] = ("stretch", "crop", "pad")
# Upper limit on the input size, also for sizes read from a model file.
MAX_SIZE_PX = 1024
# Letterbox bars: the mean colour of ImageNet.
PAD_COLOUR = (124, 116, 104)


def resize(photo: Image.Image, size_px: int, policy: ResizePolicy) -> Image.Image:
    """The photo as a square of `size_px`: stretched, its centre cropped, or padded to fit."""
    square = (size_px, size_px)
    if policy == "stretch":
        return photo.resize(square, Image.Resampling.BICUBIC)
    if policy == "crop":
        return ImageOps.fit(photo, square, Image.Resampling.BICUBIC)
    return ImageOps.pad(photo, square, Image.Resampling.BICUBIC, color=PAD_COLOUR)
