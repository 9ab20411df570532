"""Views of a photo: augmented ones for training, fixed ones for prediction.

The augmentation is that of the article's ImageDataGenerator, plus crops. A view depends on the
photo and the view's number alone, never on the order of photos, so a photo added to the folder
leaves the views of all others unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from carbrand.photos.resizing import ResizePolicy, resize

TestViews = Literal["plain", "flip", "flip_crop"]
# How many views of a photo each kind has.
TEST_VIEWS: dict[TestViews, int] = {"plain": 1, "flip": 2, "flip_crop": 12}
# Share of width and of height, as in 224 of 256 (Krizhevsky et al., NeurIPS 2012, section 4.1).
TEST_CROP = 0.875
# Left and top of each crop, as shares of what is cut off: the corners and the centre.
TEST_CROP_PLACES = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5))
# The radius of bicubic interpolation, and one more.
_KERNEL_PX = 3


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; 0 (or 1 for `crop`) switches a change off.

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
    """View `number` of the photo, (size_px, size_px, 3) uint8. View 0 is only resized.

    key: hex digits of the photo's content hash, so copies of a photo have the same views.
    """
    if number == 0:
        return np.asarray(resize(photo, size_px, policy))
    rng = np.random.default_rng([seed, number, int(key[:16], 16)])
    cropped = photo.crop(_draw_crop(photo.size, augmentation.crop, rng))
    view = np.asarray(_warp(resize(cropped, size_px, policy), augmentation, rng))
    # Alternating instead of random: even with few views a photo has as many of either kind.
    mirror = augmentation.flip and number % 2 == 1
    return np.ascontiguousarray(view[:, ::-1]) if mirror else view


def make_test_views(
    photo: Image.Image, size_px: int, policy: ResizePolicy, kind: TestViews
) -> np.ndarray:
    """The views that a prediction averages over, (TEST_VIEWS[kind], size_px, size_px, 3) uint8.

    Nothing is random. plain: the photo, resized. flip: that and its mirror image. flip_crop: those,
    then four corners and the centre of the photo, then their mirror images.
    """
    plain = np.asarray(resize(photo, size_px, policy))
    if kind == "plain":
        return plain[None]
    if kind == "flip":
        return np.stack([plain, plain[:, ::-1]])
    boxes = [_crop_box(photo.size, (TEST_CROP, TEST_CROP), place) for place in TEST_CROP_PLACES]
    crops = [np.asarray(resize(photo.crop(box), size_px, policy)) for box in boxes]
    return np.stack([plain, plain[:, ::-1], *crops, *(crop[:, ::-1] for crop in crops)])


def _draw_crop(
    size: tuple[int, int], smallest: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A box (left, top, right, bottom) in pixels, of at least one pixel."""
    shares, places = rng.uniform(smallest, 1.0, 2), rng.uniform(0.0, 1.0, 2)
    return _crop_box(size, shares.tolist(), places.tolist())


def _crop_box(
    size: tuple[int, int], shares: Sequence[float], places: Sequence[float]
) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom), at least one pixel, of these shares of width and height.

    places: its position; 0 at the left (the top), 1 at the right (the bottom).
    """
    sides = [max(1, round(length * share)) for length, share in zip(size, shares, strict=True)]
    left, top = (
        round((length - side) * place)
        for length, side, place in zip(size, sides, places, strict=True)
    )
    return left, top, left + sides[0], top + sides[1]


def _warp(photo: Image.Image, augmentation: Augmentation, rng: np.random.Generator) -> Image.Image:
    """Zoom and shear about the centre; outside, the edge is repeated (as Keras does)."""
    shear = rng.uniform(-augmentation.shear, augmentation.shear)
    zoom_x, zoom_y = rng.uniform(1 - augmentation.zoom, 1 + augmentation.zoom, 2)
    if not augmentation.shear and not augmentation.zoom:
        return photo
    middle = photo.width / 2
    # Pillow wants the map from output to input: x_in = a x + b y + c, y_in = d x + e y + f.
    a, b, e = 1 / zoom_x, shear / zoom_x, 1 / zoom_y
    margin_x = max(0, math.ceil((a + abs(b) - 1) * middle)) + _KERNEL_PX
    margin_y = max(0, math.ceil((e - 1) * middle)) + _KERNEL_PX
    c = margin_x + middle - (a + b) * middle
    f = margin_y + middle - e * middle
    margins = ((margin_y, margin_y), (margin_x, margin_x), (0, 0))
    padded = Image.fromarray(np.pad(np.asarray(photo), margins, mode="edge"))
    return padded.transform(
        photo.size, Image.Transform.AFFINE, (a, b, c, 0.0, e, f), Image.Resampling.BICUBIC
    )
