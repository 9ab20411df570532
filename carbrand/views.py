"""Augmented views of a training photo: what the article's ImageDataGenerator does, plus crops.

Every view depends on the photo and the view's number alone, never on the order in which photos
are worked on, so a photo added to the folder leaves the views of all others as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from carbrand.photo import ResizePolicy, resize


@dataclass(frozen=True)
class Augmentation:
    """How far a view may stray from its photo; 0 (or 1 for `crop`) switches a change off.

    shear: sideways shift per unit of height, drawn from [-shear, shear].
    zoom: magnification of each axis, drawn from [1 - zoom, 1 + zoom].
    crop: the smallest share of width and of height that is kept, drawn from [crop, 1].
    flip: whether every other view is mirrored.
    """

    shear: float
    zoom: float
    crop: float
    flip: bool


def make_view(
    photo: Image.Image,
    number: int,
    key: str,
    size_px: int,
    policy: ResizePolicy,
    augmentation: Augmentation,
    seed: int,
) -> np.ndarray:
    """View `number` of the photo, (size_px, size_px, 3) uint8. View 0 is the photo as it is.

    `key` stands for the photo's content (hex digits): copies of a photo have the same views.
    """
    if number == 0:
        return np.asarray(resize(photo, size_px, policy))
    rng = np.random.default_rng([seed, number, int(key[:16], 16)])
    cropped = photo.crop(_draw_crop(photo.size, augmentation.crop, rng))
    view = _warp(np.asarray(resize(cropped, size_px, policy)), augmentation, rng)
    # Alternating instead of tossing a coin: with few views a photo gets as many of either kind.
    mirror = augmentation.flip and number % 2 == 1
    return np.ascontiguousarray(view[:, ::-1]) if mirror else view


def _draw_crop(
    size: tuple[int, int], smallest: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A box (left, top, right, bottom) in pixels, of at least one pixel."""
    shares, places = rng.uniform(smallest, 1.0, 2), rng.uniform(0.0, 1.0, 2)
    sides = [max(1, round(length * share)) for length, share in zip(size, shares, strict=True)]
    left, top = (
        round((length - side) * place)
        for length, side, place in zip(size, sides, places, strict=True)
    )
    return left, top, left + sides[0], top + sides[1]


def _warp(pixels: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Zoom and shear about the centre; what comes in from outside repeats the edge (as Keras)."""
    shear = rng.uniform(-augmentation.shear, augmentation.shear)
    zoom_x, zoom_y = rng.uniform(1 - augmentation.zoom, 1 + augmentation.zoom, 2)
    if not augmentation.shear and not augmentation.zoom:
        return pixels
    size = pixels.shape[0]
    margin = size  # no drawn value reaches further: 1 / (1 - 0.5) of a half, plus the shear
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    # Pillow wants the map from output to input: x_in = a x + b y + c, y_in = d x + e y + f.
    a, b, e = 1 / zoom_x, shear / zoom_x, 1 / zoom_y
    middle_out, middle_in = size / 2, margin + size / 2
    c = middle_in - (a + b) * middle_out
    f = middle_in - e * middle_out
    warped = Image.fromarray(padded).transform(
        (size, size), Image.Transform.AFFINE, (a, b, c, 0.0, e, f), Image.Resampling.BICUBIC
    )
    return np.asarray(warped)
