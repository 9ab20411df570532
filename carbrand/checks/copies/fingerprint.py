"""Fingerprints of photos, by which near-duplicates are found without decoding again.

A perceptual hash finds candidates; a small grey image confirms them, because in sets of similar
photos (cars from the front, products on white) hashes alone are near by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from carbrand.photos.similarity import MIN_CONTRAST

# Size of the copy that hash and signature are computed from, for constant cost.
_WORKING_PX = 256
SIGNATURE_PX = 32
# Grey levels (0…255) by which a pixel of a border may differ from its colour: for a clean border,
# and for one with JPEG artefacts. A photo has fingerprints for both.
_BORDER_TOLERANCES = (6, 40)
# Maximum share of a line of the border that has another colour.
_BORDER_EXCEPTIONS = 0.03
# Maximum number of nested borders. If a side shrinks by more than _MAX_TRIM, it was no border, but
# perhaps a plain sky.
_BORDERS = 3
_MAX_TRIM = 0.5


@dataclass(frozen=True)
class Fingerprint:
    """Hash and signature of a photo, with or without its border.

    phash, mirrored_phash: 64-bit integers. signature: (SIGNATURE_PX, SIGNATURE_PX) uint8 grey.
    bordered: it shows a border on all four sides; all photos with the same border look similar.
    """

    phash: int
    mirrored_phash: int
    signature: np.ndarray
    bordered: bool


def fingerprint(grey: Image.Image) -> tuple[Fingerprint, ...]:
    """The fingerprints of a photo, with and without its border; none if it has no contrast.

    grey: its working copy, or the photo itself.
    """
    grey = working_copy(grey)
    whole = (0, 0, *grey.size)
    clean, noisy = (_without_borders(np.asarray(grey), spread) for spread in _BORDER_TOLERANCES)
    bordered = all(edge != outer for edge, outer in zip(clean, whole, strict=True))
    boxes = {
        whole,
        clean,
        noisy,
        _with_equal_border(clean, grey.size),
        _with_equal_border(noisy, grey.size),
    }
    found = [_fingerprint(grey.crop(box), bordered and box == whole) for box in sorted(boxes)]
    return tuple(item for item in found if item is not None)


def working_copy(photo: Image.Image) -> Image.Image:
    """The photo in grey, its sides at most _WORKING_PX; a smaller one keeps its size."""
    grey = photo if max(photo.size) <= _WORKING_PX else photo.copy()
    grey.thumbnail((_WORKING_PX, _WORKING_PX), Image.Resampling.BOX, reducing_gap=2.0)
    return grey.convert("L")


def perceptual_hash(photo: Image.Image) -> int:
    """64-bit perceptual hash (`phash` of ImageHash: DCT), bits by row, the first one highest."""
    import imagehash  # imported late, as it imports SciPy

    return int(str(imagehash.phash(photo)), 16)


def _fingerprint(grey: Image.Image, bordered: bool) -> Fingerprint | None:
    small = grey.resize((SIGNATURE_PX, SIGNATURE_PX), Image.Resampling.BOX)
    signature = np.asarray(small)
    if signature.std() < MIN_CONTRAST:
        return None
    mirrored = grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Fingerprint(perceptual_hash(grey), perceptual_hash(mirrored), signature, bordered)


def _without_borders(grey: np.ndarray, tolerance: int) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) inside the plain borders of a grey image (h, w)."""
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


def _with_equal_border(
    box: tuple[int, int, int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The box with a border of equal width: where the photo has its colour, too much was cut."""
    left, top, right, bottom = box
    width = min(left, top, size[0] - right, size[1] - bottom)
    return width, width, size[0] - width, size[1] - width
