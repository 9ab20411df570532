"""Whether a photo shows anything: too dark, too bright, blurred, empty.

Brightness and information follow CleanVision (Apache-2.0, cleanvision/issue_managers/
image_property.py); sharpness is the measure of Crete, Dolmiere, Ladret, Nicolas, "The blur effect"
(SPIE 2007), which does not mistake low contrast for blur. All is computed on a small copy, in whole
numbers until the last division, so that it costs the same for every photo and comes out the same
on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

CODES = ("one_colour", "dark", "bright", "blurry", "low_information")

# The longer side of the copy. What is sharp at this size looks sharp to a backbone.
SIDE_PX = 256
# Brightness as the eye sees it: the root of a weighted mean of squares (CleanVision).
EYE = (0.241, 0.691, 0.068)
# Over how many pixels sharpness is compared with a smoothed copy; the authors of the measure use 9.
SMOOTHING_PX = 9
# Steps of one level are rounding, not edges: without this a strongly blurred photo looks sharp.
NO_EDGE = 1

# 1 % of the photo at least is brighter than this, or it is dark (CleanVision's threshold).
DARK_BELOW = 0.32
# 95 % of the photo are brighter than this, or it is not bright (CleanVision's threshold). A car on
# white paper covers more than 5 %.
BRIGHT_ABOVE = 0.95
# Nine of ten photos come out between 0.20 and 0.35 once a Gaussian blur of 2 px went over the copy
# (3.5 px of a backbone that sees 448). As they are, the article's 122 photos have 0.53 to 0.85, the
# drawn sample's 144 have 0.41 to 0.72.
BLURRY_BELOW = 0.40
# CleanVision's 3 bits are over three channels in one histogram, which is log2(3) = 1.58 bits more
# than over one. The article's barest emblem on white has 1.85.
LOW_INFORMATION_BELOW = 1.42
# Levels of 255 that 98 % of the pixels keep within, in each channel: a plain wall with the noise of
# a camera (3 levels) makes 14. The drawn sample's darkest night has 39.
ONE_COLOUR_WITHIN = 16

_SQUARES = np.arange(256, dtype=np.int32) ** 2
_ROOTS = np.rint(np.sqrt(np.arange(255**2 + 1))).astype(np.uint8)


@dataclass(frozen=True)
class Quality:
    """What was measured of one photo; rounded to 4 places."""

    brightness: float
    """Mean brightness, 0 (black) to 1 (white)."""

    highlights: float
    """The brightness that 1 % of the pixels reach, 0 to 1."""

    shadows: float
    """The brightness that 95 % of the pixels reach, 0 to 1."""

    sharpness: float
    """Share of the steps between neighbours that smoothing takes away, 0 (smooth) to 1, in the
    direction that is more blurred: a hand that moved blurs one only."""

    information: float
    """Entropy of the brightness, 0 to 8 bits."""

    spread: float
    """Levels between the darkest and the brightest 1 %, in the channel with most, 0 to 1."""


def measure(photo: Image.Image) -> Quality:
    """The quality of an upright RGB photo of any size from 1x1."""
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
    """The codes of what is wrong, in the order of CODES; none for an ordinary photo."""
    found = {
        "one_colour": quality.spread * 255 <= ONE_COLOUR_WITHIN,
        "dark": quality.highlights < DARK_BELOW,
        "bright": quality.shadows > BRIGHT_ABOVE,
        "blurry": quality.sharpness < BLURRY_BELOW,
        "low_information": quality.information < LOW_INFORMATION_BELOW,
    }
    if found["one_colour"]:  # that it has neither edges nor information need not be said too
        found["blurry"] = found["low_information"] = False
    return tuple(code for code in CODES if found[code])


def _small(photo: Image.Image) -> Image.Image:
    """A copy whose longer side is SIDE_PX at most; a smaller photo is left as it is."""
    longer = max(photo.size)
    if longer <= SIDE_PX:
        return photo
    width, height = (max(1, round(side * SIDE_PX / longer)) for side in photo.size)
    return photo.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _brightness(pixels: np.ndarray) -> np.ndarray:
    """(h, w) uint8; weights in thousandths and tables, for exact sums at little cost."""
    red, green, blue = (
        (round(1000 * weight) * _SQUARES)[pixels[..., channel]]
        for channel, weight in enumerate(EYE)
    )
    return _ROOTS[(red + green + blue) // 1000]


def _level(counts: np.ndarray, share: float) -> int:
    """The lowest level that at least `share` of the pixels do not exceed."""
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum()))


def _spread(channel: np.ndarray) -> int:
    counts = np.bincount(channel.ravel(), minlength=256)
    return _level(counts, 0.99) - _level(counts, 0.01)


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # no -0.0


def _sharpness(grey: np.ndarray) -> float:
    """Along axis 0. Of each step between neighbours, how much a moving mean takes away."""
    if grey.shape[0] <= 1:
        return 1.0  # nothing to compare: the other direction decides
    # 16 bits are fast; where the running sum goes beyond, the difference of two comes back.
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
