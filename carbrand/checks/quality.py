"""Image quality: dark, bright, blurry, of one colour, of low information.

Brightness and information follow CleanVision (Apache-2.0, cleanvision/issue_managers/
image_property.py); sharpness is the measure of Crete, Dolmiere, Ladret, Nicolas, "The blur effect"
(SPIE 2007), which does not mistake low contrast for blur. It is all computed on a small copy, in
integers until the last division, so the result is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

CODES = ("one_colour", "dark", "bright", "blurry", "low_information")

# Longer side of the copy: what is sharp at this size is sharp to a backbone.
SIDE_PX = 256
# Weights of perceived brightness, the root of a weighted mean of squares (CleanVision).
EYE = (0.241, 0.691, 0.068)
# Width of the moving mean (9 in the paper).
SMOOTHING_PX = 9
# Steps of one level are rounding: with them, a strongly blurred photo would look sharp.
NO_EDGE = 1

# Dark if less than 1 % of the pixels are brighter (CleanVision's threshold).
DARK_BELOW = 0.32
# Bright if 95 % of the pixels are brighter (CleanVision's threshold). A car on white paper covers
# more than 5 %.
BRIGHT_ABOVE = 0.95
# With a Gaussian blur of 2 px on the copy (3.5 px at an input size of 448), nine of ten photos have
# 0.20 to 0.35. Unblurred, the article's 122 photos have 0.53 to 0.85, the drawn sample's 144 have
# 0.41 to 0.72.
BLURRY_BELOW = 0.40
# CleanVision's 3 bits are of one histogram over three channels, log2(3) = 1.58 bits more than over
# one. The article's plainest emblem on white has 1.85.
LOW_INFORMATION_BELOW = 1.42
# Range of levels (0…255) of the middle 98 % of the pixels, in each channel: a plain wall with the
# noise of a camera (3 levels) has 14, the drawn sample's darkest night 39.
ONE_COLOUR_WITHIN = 16

_SQUARES = np.arange(256, dtype=np.int32) ** 2
_ROOTS = np.rint(np.sqrt(np.arange(255**2 + 1))).astype(np.uint8)


@dataclass(frozen=True)
class Quality:
    """Measures of one photo, rounded to 4 decimals."""

    brightness: float
    """Mean brightness, 0 (black) to 1 (white)."""

    highlights: float
    """The 99th percentile of brightness, 0 to 1."""

    shadows: float
    """The 5th percentile of brightness, 0 to 1."""

    sharpness: float
    """Share of the differences between neighbours that smoothing removes, 0 (smooth) to 1: the
    minimum of both directions, as motion blurs only one."""

    information: float
    """Entropy of the brightness, 0 to 8 bits."""

    spread: float
    """1st to 99th percentile, of the channel with the largest range, 0 to 1."""


def measure(photo: Image.Image) -> Quality:
    """Measure an upright RGB photo of any size."""
    pixels = np.asarray(_small(photo))  # (h, w, 3) uint8
    grey = _brightness(pixels)
    counts = np.bincount(grey.ravel(), minlength=256)
    return Quality(
        brightness=_round(int((counts * np.arange(256)).sum()) / (255 * grey.size)),
        highlights=_round(_level(counts, 0.99) / 255),
        shadows=_round(_level(counts, 0.05) / 255),
        sharpness=_round(min(_sharpness(grey), _sharpness(grey.T))),
        information=_round(_entropy(counts)),
        spread=_round(max(_spread(pixels[..., channel]) for channel in range(3)) / 255),
    )


def quality_issues(quality: Quality) -> tuple[str, ...]:
    """The issue codes, in the order of CODES."""
    found = {
        "one_colour": quality.spread * 255 <= ONE_COLOUR_WITHIN,
        "dark": quality.highlights < DARK_BELOW,
        "bright": quality.shadows > BRIGHT_ABOVE,
        "blurry": quality.sharpness < BLURRY_BELOW,
        "low_information": quality.information < LOW_INFORMATION_BELOW,
    }
    if found["one_colour"]:  # implies the other two
        found["blurry"] = found["low_information"] = False
    return tuple(code for code in CODES if found[code])


def _small(photo: Image.Image) -> Image.Image:
    """A copy whose longer side is at most SIDE_PX; a smaller photo is returned itself."""
    longer = max(photo.size)
    if longer <= SIDE_PX:
        return photo
    width, height = (max(1, round(side * SIDE_PX / longer)) for side in photo.size)
    return photo.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _brightness(pixels: np.ndarray) -> np.ndarray:
    """(h, w) uint8, in integers: weights in thousandths, and lookup tables."""
    red, green, blue = (
        (round(1000 * weight) * _SQUARES)[pixels[..., channel]]
        for channel, weight in enumerate(EYE)
    )
    return _ROOTS[(red + green + blue) // 1000]


def _level(counts: np.ndarray, share: float) -> int:
    """The quantile `share` of a histogram."""
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum()))


def _spread(channel: np.ndarray) -> int:
    counts = np.bincount(channel.ravel(), minlength=256)
    return _level(counts, 0.99) - _level(counts, 0.01)


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # no -0.0


def _sharpness(grey: np.ndarray) -> float:
    """Along axis 0: the share of differences between neighbours that a moving mean removes."""
    if grey.shape[0] <= 1:
        return 1.0  # the other direction decides
    # 16 bits are fast; an overflow of the running sum cancels in the difference of two sums.
    values = np.ascontiguousarray(grey, dtype=np.int16)
    half = SMOOTHING_PX // 2
    padded = np.pad(values, ((half + 1, half), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0, dtype=np.int16)
    smoothed = sums[SMOOTHING_PX:] - sums[:-SMOOTHING_PX]  # SMOOTHING_PX times the mean
    steps = np.abs(np.diff(values, axis=0))
    lost = np.maximum(0, SMOOTHING_PX * steps - np.abs(np.diff(smoothed, axis=0)))
    total = SMOOTHING_PX * int(steps.sum(dtype=np.int64))
    return int((lost * (steps > NO_EDGE)).sum(dtype=np.int64)) / total if total else 0.0


def _round(value: float) -> float:
    return round(value, 4)
