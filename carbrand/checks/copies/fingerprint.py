"""What is remembered of a photo so that other versions of it are known again without its pixels.

A perceptual hash finds candidates among any number of photos; a tiny grey picture confirms them: on
sets of similar photos (cars from the front, products on white) hashes alone agree by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from carbrand.photos.similarity import MIN_CONTRAST

# Both are made from a copy that is no larger than this: their cost does not grow with the photo's.
_WORKING_PX = 256
SIGNATURE_PX = 32
# Grey levels (of 255) by which a border may stray from its own colour: a clean one, and one that
# went through JPEG compression. What is trimmed depends on them, so a photo is remembered both
# ways.
_BORDER_TOLERANCES = (6, 40)
# A line belongs to the border when no more of its pixels than this have another colour.
_BORDER_EXCEPTIONS = 0.03
# A frame around a frame; and whoever loses more of a side than this had no border but a plain sky.
_BORDERS = 3
_MAX_TRIM = 0.5


@dataclass(frozen=True)
class Fingerprint:
    """A photo, or what is left of it without its border.

    `phash`, `mirrored_phash`: 64 bits each, as integers. `signature`: (SIGNATURE_PX, SIGNATURE_PX)
    uint8, the grey picture. `bordered`: it shows a border on all four sides. Two of those say
    little of each other: all that is shown in the same border looks alike.
    """

    phash: int
    mirrored_phash: int
    signature: np.ndarray
    bordered: bool


def fingerprint(grey: Image.Image) -> tuple[Fingerprint, ...]:
    """The frames of a photo: the whole, and without its border; none of one without contrast.

    `grey`: its working copy, or the photo itself.
    """
    grey = working_copy(grey)
    whole = (0, 0, *grey.size)
    clean, noisy = (_without_borders(np.asarray(grey), spread) for spread in _BORDER_TOLERANCES)
    bordered = all(edge != outer for edge, outer in zip(clean, whole, strict=True))
    boxes = {whole, clean, noisy, _evenly(clean, grey.size), _evenly(noisy, grey.size)}
    frames = [_frame(grey.crop(box), bordered and box == whole) for box in sorted(boxes)]
    return tuple(frame for frame in frames if frame is not None)


def working_copy(photo: Image.Image) -> Image.Image:
    """The photo in grey, its sides at most _WORKING_PX: one that is smaller keeps its pixels."""
    grey = photo if max(photo.size) <= _WORKING_PX else photo.copy()
    grey.thumbnail((_WORKING_PX, _WORKING_PX), Image.Resampling.BOX, reducing_gap=2.0)
    return grey.convert("L")


def perceptual_hash(photo: Image.Image) -> int:
    """64 bits of the photo's coarse structure (DCT); a few bits apart for a new encoding.

    The `phash` of the library ImageHash; the bits row by row, the first the highest.
    """
    import imagehash  # brings scipy: only those who hash pay for it

    return int(str(imagehash.phash(photo)), 16)


def _frame(grey: Image.Image, bordered: bool) -> Fingerprint | None:
    small = grey.resize((SIGNATURE_PX, SIGNATURE_PX), Image.Resampling.BOX)
    signature = np.asarray(small)
    if signature.std() < MIN_CONTRAST:
        return None
    mirrored = grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Fingerprint(perceptual_hash(grey), perceptual_hash(mirrored), signature, bordered)


def _without_borders(grey: np.ndarray, tolerance: int) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) inside the plain borders of a grey picture (h, w)."""
    left, top, right, bottom = 0, 0, grey.shape[1], grey.shape[0]
    for _ in range(_BORDERS):
        inside = grey[top:bottom, left:right]
        outline = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        other = np.abs(inside.astype(np.int16) - int(np.median(outline))) > tolerance
        rows = np.flatnonzero(other.mean(axis=1) > _BORDER_EXCEPTIONS)
        columns = np.flatnonzero(other.mean(axis=0) > _BORDER_EXCEPTIONS)
        enough = _MAX_TRIM * np.array(inside.shape)
        if len(rows) < enough[0] or len(columns) < enough[1]:
            break
        box = (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)
        if box == (left, top, right, bottom):
            break
        left, top, right, bottom = (int(edge) for edge in box)
    return left, top, right, bottom


def _evenly(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box with a border of one width: where the photo has its colour, too much was cut off."""
    left, top, right, bottom = box
    width = min(left, top, size[0] - right, size[1] - bottom)
    return width, width, size[0] - width, size[1] - width
