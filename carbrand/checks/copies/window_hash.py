"""Perceptual hashes of windows of a photo, which give those of its mirrored or negative copies.

A hash holds the signs of the lowest DCT frequencies. Rotation by 90 degrees, mirroring and negation
flip or permute those signs. A caption or a logo changes the hash of the whole photo, but not those
of windows beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from carbrand.checks.copies.block_match import PICTURE_PX
from carbrand.checks.copies.content_box import content_boxes
from carbrand.photos.similarity import MIN_CONTRAST

# Left, top, right, bottom as shares, exact in binary. Mirroring and transposition map windows to
# windows.
WINDOWS = {
    "whole": (0.0, 0.0, 1.0, 1.0),
    "centre": (0.15625, 0.15625, 0.84375, 0.84375),
    "top": (0.0, 0.0, 1.0, 0.5),
    "bottom": (0.0, 0.5, 1.0, 1.0),
    "left": (0.0, 0.0, 0.5, 1.0),
    "right": (0.5, 0.0, 1.0, 1.0),
}
_NAMES = tuple(WINDOWS)
# The intervals of windows, across or down.
_SPANS = ((0.0, 1.0), (0.15625, 0.84375), (0.0, 0.5), (0.5, 1.0))
_ACROSS = np.array([_SPANS.index((left, right)) for left, _, right, _ in WINDOWS.values()])
_DOWN = np.array([_SPANS.index((top, bottom)) for _, top, _, bottom in WINDOWS.values()])
# Rotations in degrees for which hashes are stored too: a hash tolerates one or two degrees more.
_TILTS = (-4.6, -2.3, 2.3, 4.6)
_FREQUENCIES = 8
_SAMPLES = 32
_ODD = np.arange(_FREQUENCIES) % 2 == 1
# Bits of a hash: 16 for each combination of even and odd frequencies down and across. A transform
# flips all of the 16 or none.
_ORDER = np.arange(_FREQUENCIES**2).reshape(4, 2, 4, 2).transpose(1, 3, 0, 2).ravel()
# The permutation of bits by a transposition.
_TURNED = np.argsort(_ORDER)[np.arange(64).reshape(8, 8).T.ravel()[_ORDER]]

# A hash, the numbers of its window and content box, and whether it is of a rotated (tilted) photo.
HASH = np.dtype([("hash", "u8"), ("window", "u1"), ("box", "u1"), ("tilted", "?")])


@dataclass(frozen=True)
class Transform:
    """A transform of a photo: transpose, mirror, flip upside down, negate, in this order."""

    transposed: bool
    mirrored: bool
    upside_down: bool
    negative: bool

    def of_windows(self, windows: np.ndarray) -> np.ndarray:
        """(n,): the window to which each window is mapped."""
        return np.array([self._moved(name) for name in _NAMES], np.uint8)[windows]

    def of_image(self, picture: np.ndarray) -> np.ndarray:
        """The transformed image, (s, s) uint8."""
        shown = picture.T if self.transposed else picture
        shown = shown[:, ::-1] if self.mirrored else shown
        shown = shown[::-1] if self.upside_down else shown
        return 255 - shown if self.negative else shown

    def changed_signs(self) -> np.uint64:
        """The bits of a hash that are flipped, after the permutation by a transposition."""
        signs = np.zeros((_FREQUENCIES, _FREQUENCIES), bool)
        signs ^= _ODD[None, :] & self.mirrored
        signs ^= _ODD[:, None] & self.upside_down
        return _pack((signs ^ self.negative)[None])[0]

    def _moved(self, window: str) -> int:
        left, top, right, bottom = WINDOWS[window]
        if self.transposed:
            left, top, right, bottom = top, left, bottom, right
        if self.mirrored:
            left, right = 1 - right, 1 - left
        if self.upside_down:
            top, bottom = 1 - bottom, 1 - top
        return list(WINDOWS.values()).index((left, top, right, bottom))


TRANSFORMS = tuple(
    Transform(transposed, mirrored, upside_down, negative)
    for negative in (False, True)
    for transposed in (False, True)
    for mirrored in (False, True)
    for upside_down in (False, True)
)


def transposed(hashes: np.ndarray) -> np.ndarray:
    """The hashes of transposed images, (n,) uint64."""
    bits = np.unpackbits(hashes.astype(">u8")[:, None].view(np.uint8), axis=1)
    return _from_bits(bits[:, _TURNED])


def pictures(grey: Image.Image) -> list[np.ndarray]:
    """The content boxes of a photo, resized to (PICTURE_PX, PICTURE_PX) uint8."""
    square = (PICTURE_PX, PICTURE_PX)
    return [
        np.asarray(grey.resize(square, Image.Resampling.BOX, box=box))
        for box in content_boxes(grey)
    ]


def hash_windows(grey: Image.Image) -> np.ndarray:
    """The hashes of all windows that have contrast, (k,) HASH."""
    shown = np.stack(pictures(grey)).astype(float)
    hashes = np.zeros((len(shown), len(WINDOWS)), HASH)
    frequencies = (_WAVES @ shown @ _WAVES.T).reshape(-1, *(len(_SPANS), _FREQUENCIES) * 2)
    hashes["hash"] = _pack(frequencies.transpose(0, 1, 3, 2, 4)[:, _DOWN, _ACROSS] > 0)
    hashes["window"] = np.arange(len(WINDOWS))
    hashes["box"] = np.arange(len(shown))[:, None]
    return np.concatenate([hashes[_contrasts(shown) >= MIN_CONTRAST], _tilted(shown[0], grey)])


def _contrasts(shown: np.ndarray) -> np.ndarray:
    """(n, windows): the standard deviation of each window."""
    sums, squares, pixels = (
        (_INSIDE @ values @ _INSIDE.T)[..., _DOWN, _ACROSS]
        for values in (shown, shown**2, np.ones_like(shown))
    )
    return np.sqrt(np.maximum(squares / pixels - (sums / pixels) ** 2, 0.0))


def _tilted(picture: np.ndarray, grey: Image.Image) -> np.ndarray:
    """Hashes of the photo rotated by _TILTS, labelled with the window of a rotated copy.

    The copy may have been cropped to the same size, to a rectangle inside, or have grown.
    """
    places = (_CENTRED @ _tilts(grey.size).transpose(0, 2, 1) + 0.5) * _SAMPLES - 0.5
    shown = _sample(picture.reshape(_SAMPLES, 2, _SAMPLES, 2).mean(axis=(1, 3)), places)
    shown = shown.reshape(-1, _SAMPLES, _SAMPLES)
    hashes = np.zeros(len(shown), HASH)
    hashes["hash"] = _pack(_DCT @ shown @ _DCT.T > 0)
    hashes["window"] = [_NAMES.index("centre"), _NAMES.index("whole")] * len(_TILTS)
    hashes["tilted"] = True
    return hashes[shown.std(axis=(1, 2)) >= MIN_CONTRAST]


def _tilts(size: tuple[int, int]) -> np.ndarray:
    """(2 tilts, 2, 2): matrices from points of a part to points of the photo, about the centres, in
    shares. For each tilt the centre window, and the largest upright rectangle.
    """
    centre = _SPANS[1][1] - _SPANS[1][0]
    maps = []
    for degrees in _TILTS:
        sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
        shape = size[1] / size[0]
        turn = np.array([[cosine, -sine * shape], [sine / shape, cosine]])
        maps += [turn * centre, turn * _upright_inside(size, abs(sine), cosine)]
    return np.array(maps)


def _upright_inside(size: tuple[int, int], sine: float, cosine: float) -> tuple[float, float]:
    """The sides, as shares, of the largest upright rectangle inside a rotated one.

    For small angles, at which it touches all four sides.
    """
    width, height = size
    if min(size) <= 2 * sine * cosine * max(size):
        return cosine, cosine
    scale = 1 / (cosine**2 - sine**2)
    return (
        scale * (cosine - height / width * sine),
        scale * (cosine - width / height * sine),
    )


def _sample(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of an image (s, s) at places (..., 2): x and y in pixels."""
    side = len(picture)
    places = places.clip(0, side - 1.001)
    corners = places.astype(np.intp)
    right, down = np.moveaxis(places - corners, -1, 0)
    flat, first = picture.ravel(), corners[..., 1] * side + corners[..., 0]
    above = flat[first] * (1 - right) + flat[first + 1] * right
    below = flat[first + side] * (1 - right) + flat[first + side + 1] * right
    return above * (1 - down) + below * down


def _means(first: float, last: float) -> np.ndarray:
    """(_SAMPLES, PICTURE_PX): weights of sums over equal intervals from `first` to `last`."""
    edges = np.linspace(first, last, _SAMPLES + 1) * PICTURE_PX
    pixels = np.arange(PICTURE_PX)
    starts = np.maximum(edges[:-1, None], pixels)
    ends = np.minimum(edges[1:, None], pixels + 1)
    return np.maximum(0.0, ends - starts)


def _pack(signs: np.ndarray) -> np.ndarray:
    """Pack signs (..., 8, 8) into (...) uint64; that of the mean, always positive, becomes 0."""
    bits = signs.reshape(*signs.shape[:-2], -1)[..., _ORDER]
    bits[..., 0] = False
    return _from_bits(bits)


def _from_bits(bits: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.packbits(bits, axis=-1)).view(">u8")[..., 0].astype(np.uint64)


# (frequencies, samples): the DCT of a line; (spans * frequencies, PICTURE_PX): of each of _SPANS.
_DCT = np.cos(np.pi / 2 / _SAMPLES * np.outer(np.arange(_FREQUENCIES), 2 * np.arange(_SAMPLES) + 1))
_WAVES = np.concatenate([_DCT @ _means(*span) for span in _SPANS])
# (spans, PICTURE_PX): the share of each pixel inside a span.
_INSIDE = np.array([_means(*span).sum(axis=0) for span in _SPANS])
# (samples, 2): x and y relative to the centre.
_CENTRED = np.stack(
    np.meshgrid(*[(np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5] * 2), axis=2
).reshape(-1, 2)
