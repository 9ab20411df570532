"""Hashes of parts of a photo, known again when the photo is turned, mirrored or a negative.

A hash holds the signs of the lowest frequencies (DCT). To turn or mirror a picture changes or swaps
those signs by known rules, as does a negative: each version's hash follows from the one hash. A
caption or a logo changes the hash of the whole, but not those of the windows beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from carbrand.checks.copies.block_match import PICTURE_PX
from carbrand.checks.copies.content_box import content_boxes
from carbrand.photos.likeness import LEAST_CONTRAST

# Left, top, right, bottom in shares, exact in binary. Turned or mirrored, each window is one of
# them again.
WINDOWS = {
    "whole": (0.0, 0.0, 1.0, 1.0),
    "centre": (0.15625, 0.15625, 0.84375, 0.84375),
    "top": (0.0, 0.0, 1.0, 0.5),
    "bottom": (0.0, 0.5, 1.0, 1.0),
    "left": (0.0, 0.0, 0.5, 1.0),
    "right": (0.5, 0.0, 1.0, 1.0),
}
_NAMES = tuple(WINDOWS)
# Degrees by which photos are also remembered turned: hashes bear a degree or two beside that.
_TILTS = (-4.6, -2.3, 2.3, 4.6)
_TILTED_PX = 128
_FREQUENCIES = 8
_SAMPLES = 32
_ODD = np.arange(_FREQUENCIES) % 2 == 1
_SHIFTS = np.arange(63, -1, -1, dtype=np.uint64).reshape(_FREQUENCIES, _FREQUENCIES)


@dataclass(frozen=True)
class WindowHashes:
    """Of one photo: hashes (k,) uint64; windows (k,) and boxes (k,) uint8, the numbers of the
    window and of the content box that each is of; tilted (k,) bool, those of the photo turned by
    some degrees.
    """

    hashes: np.ndarray
    windows: np.ndarray
    boxes: np.ndarray
    tilted: np.ndarray


NO_HASHES = WindowHashes(
    np.empty(0, np.uint64), np.empty(0, np.uint8), np.empty(0, np.uint8), np.empty(0, bool)
)


@dataclass(frozen=True)
class Version:
    """What may have been done to a photo; first transposed, then mirrored, then the rest."""

    transposed: bool
    mirrored: bool
    upside_down: bool
    negative: bool

    def of_hashes(self, hashes: np.ndarray) -> np.ndarray:
        """The hashes that this version of each photo would have, (n,) uint64."""
        return (_transposed(hashes) if self.transposed else hashes) ^ self._changed_signs()

    def of_windows(self, windows: np.ndarray) -> np.ndarray:
        """Where each window would be then, (n,)."""
        return np.array([self._moved(name) for name in _NAMES], np.uint8)[windows]

    def of_picture(self, picture: np.ndarray) -> np.ndarray:
        """What this version of a picture would show, (s, s) uint8."""
        shown = picture.T if self.transposed else picture
        shown = shown[:, ::-1] if self.mirrored else shown
        shown = shown[::-1] if self.upside_down else shown
        return 255 - shown if self.negative else shown

    def _changed_signs(self) -> np.uint64:
        signs = np.zeros((_FREQUENCIES, _FREQUENCIES), bool)
        signs ^= _ODD[None, :] & self.mirrored
        signs ^= _ODD[:, None] & self.upside_down
        return _pack(signs ^ self.negative)

    def _moved(self, window: str) -> int:
        left, top, right, bottom = WINDOWS[window]
        if self.transposed:
            left, top, right, bottom = top, left, bottom, right
        if self.mirrored:
            left, right = 1 - right, 1 - left
        if self.upside_down:
            top, bottom = 1 - bottom, 1 - top
        return list(WINDOWS.values()).index((left, top, right, bottom))


VERSIONS = tuple(
    Version(transposed, mirrored, upside_down, negative)
    for negative in (False, True)
    for transposed in (False, True)
    for mirrored in (False, True)
    for upside_down in (False, True)
)


def pictures(grey: Image.Image) -> list[np.ndarray]:
    """The photo and what is left of it without bars, (PICTURE_PX, PICTURE_PX) uint8 each."""
    return [_small(grey, box) for box in content_boxes(grey)]


def window_hashes(grey: Image.Image) -> WindowHashes:
    """The hashes of all windows with contrast."""
    found = [
        (_hash(picture, window), number, box, False)
        for box, picture in enumerate(pictures(grey))
        for number, window in enumerate(_NAMES)
        if _has_contrast(picture, window)
    ]
    found += [
        (_hash(picture, "whole"), _NAMES.index(window), 0, True)
        for picture, window in _tilted(grey)
        if picture.std() >= LEAST_CONTRAST
    ]
    if not found:
        return NO_HASHES
    hashes, windows, boxes, tilted = zip(*found, strict=True)
    return WindowHashes(
        np.array(hashes, np.uint64),
        np.array(windows, np.uint8),
        np.array(boxes, np.uint8),
        np.array(tilted, bool),
    )


def _tilted(grey: Image.Image) -> Iterator[tuple[np.ndarray, str]]:
    """Parts of the tilted photo, and which window of a tilted copy would show the same.

    The copy may have kept its size, or lost its corners, or grown so that none is lost.
    """
    small = grey.copy()
    small.thumbnail((_TILTED_PX, _TILTED_PX), Image.Resampling.BOX)
    for degrees in _TILTS:
        turned = small.rotate(degrees, Image.Resampling.BILINEAR)
        left, top, right, bottom = WINDOWS["centre"]
        yield _part(turned, right - left, bottom - top), "centre"
        yield _part(turned, *_upright_inside(small.size, degrees)), "whole"


def _upright_inside(size: tuple[int, int], degrees: float) -> tuple[float, float]:
    """The sides, in shares, of the largest upright rectangle inside of a turned one.

    For small angles, where it touches all four of its sides.
    """
    width, height = size
    sine, cosine = math.sin(math.radians(abs(degrees))), math.cos(math.radians(abs(degrees)))
    if min(size) <= 2 * sine * cosine * max(size):
        return cosine, cosine
    scale = 1 / (cosine**2 - sine**2)
    return (
        scale * (cosine - height / width * sine),
        scale * (cosine - width / height * sine),
    )


def _part(photo: Image.Image, width: float, height: float) -> np.ndarray:
    """The middle of a photo, `width` and `height` in shares."""
    wide, high = photo.width * width, photo.height * height
    left, top = (photo.width - wide) / 2, (photo.height - high) / 2
    return _small(photo, (left, top, left + wide, top + high))


def _small(photo: Image.Image, box: tuple[float, float, float, float]) -> np.ndarray:
    square = (PICTURE_PX, PICTURE_PX)
    return np.asarray(photo.resize(square, Image.Resampling.BOX, box=box))


def _has_contrast(picture: np.ndarray, window: str) -> bool:
    left, top, right, bottom = (round(PICTURE_PX * share) for share in WINDOWS[window])
    return bool(picture[top:bottom, left:right].std() >= LEAST_CONTRAST)


def _hash(picture: np.ndarray, window: str) -> np.uint64:
    down, across = _operators(window)
    return _pack(down @ picture @ across > 0)


@cache
def _operators(window: str) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies, PICTURE_PX) and its like for columns: a picture to frequencies of a window."""
    from scipy.fft import dct

    left, top, right, bottom = WINDOWS[window]
    waves = dct(np.eye(_SAMPLES), axis=0)[:_FREQUENCIES]
    return waves @ _means(top, bottom), (waves @ _means(left, right)).T


def _means(first: float, last: float) -> np.ndarray:
    """(_SAMPLES, PICTURE_PX): sums over areas of equal length from `first` to `last`."""
    edges = np.linspace(first, last, _SAMPLES + 1) * PICTURE_PX
    pixels = np.arange(PICTURE_PX)
    starts = np.maximum(edges[:-1, None], pixels)
    ends = np.minimum(edges[1:, None], pixels + 1)
    return np.maximum(0.0, ends - starts)


def _pack(signs: np.ndarray) -> np.uint64:
    """64 bits, row by row, of (8, 8) bool; the mean, which is always positive, says nothing."""
    bits = signs.astype(np.uint64) << _SHIFTS
    bits[0, 0] = 0
    return bits.sum(dtype=np.uint64)


def _transposed(hashes: np.ndarray) -> np.ndarray:
    turned = np.zeros_like(hashes)
    for shift, other in zip(_SHIFTS.ravel(), _SHIFTS.T.ravel(), strict=True):
        turned |= ((hashes >> shift) & np.uint64(1)) << other
    return turned
