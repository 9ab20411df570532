"""Photos as Python programs hold them: paths, bytes, Pillow images, arrays.

All become what `open_photo` makes of a file of the same content, so that predictions have the same
digits whatever a photo is given as.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import TypeAlias, Union

import numpy as np
from PIL import Image

from carbrand.photos.decode.exif import ORIENTATION, read_tags
from carbrand.photos.photo import UnreadablePhoto, open_photo

Photo: TypeAlias = Union[str, "os.PathLike[str]", bytes, Image.Image, np.ndarray]

_EXPECTED = "a path, bytes, a Pillow image, or an array (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)"
_CHANNELS = (1, 3, 4)
# Pillow's modes that are converted before all else, as they are in no file or have colours of RGB.
_CONVERTED = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
_CONVERTED |= dict.fromkeys(("1", "P", "RGBX", "YCbCr", "HSV"), "RGB")
_PLAIN = ("RGB", "L")


def separate(photos: Photo | Iterable[Photo]) -> tuple[Iterable[Photo], bool]:
    """The photos one by one, and whether `photos` is a single one.

    An array of four axes, (n, h, w, channels), holds n of them, and one of texts holds paths.
    Raises TypeError for what is neither a photo nor iterable.
    """
    if isinstance(photos, (str, os.PathLike, bytes, Image.Image)):
        return (photos,), True
    if hasattr(photos, "__array__"):
        array = np.asarray(photos)
        if array.dtype.kind in "OSU":  # paths
            return array.ravel().tolist(), False
        return (iter(_to_8_bits(array)), False) if array.ndim == 4 else ((array,), True)
    if isinstance(photos, Iterable):
        return photos, False
    raise TypeError(f"expected {_EXPECTED}, or several of these, got {type(photos).__name__}")


def path_of(photo: Photo) -> str:
    """The path of a photo that is given as one, otherwise empty."""
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else ""


def open_given(photo: Photo) -> Image.Image:
    """The photo as `open_photo` gives it. Raises UnreadablePhoto, TypeError or ValueError."""
    if isinstance(photo, (str, os.PathLike)):
        return open_photo(os.fspath(photo))
    if isinstance(photo, bytes):
        return open_photo("The data", photo)
    if isinstance(photo, Image.Image):
        return _from_image(photo)
    if hasattr(photo, "__array__"):
        return _from_array(np.asarray(photo))
    raise TypeError(f"expected {_EXPECTED}, got {type(photo).__name__}")


def _from_array(array: np.ndarray) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in _CHANNELS or not array.size:
        raise ValueError(f"expected {_EXPECTED}, got an array of shape {array.shape}")
    pixels = _to_8_bits(array)
    return _from_image(Image.fromarray(pixels[..., 0] if array.shape[2:] == (1,) else pixels))


def _to_8_bits(array: np.ndarray) -> np.ndarray:
    """As uint8, of the same shape.

    bool; integers in 0…255; uint16 in its full range; floats in 0…1, or in 0…255 if one is above 1.
    """
    if array.dtype == np.uint8 or not array.size:
        return array.astype(np.uint8)
    lowest, highest = array.min(), array.max()
    if array.dtype == np.bool_:
        top = 1.0
    elif array.dtype == np.uint16:
        top = 65535.0
    elif array.dtype.kind in "iuf":
        top = 1.0 if array.dtype.kind == "f" and highest <= 1 else 255.0
    else:
        raise TypeError(f"expected an array of numbers, got {array.dtype}")
    if not (lowest >= 0 and highest <= top):  # also for NaN
        raise ValueError(f"expected values in 0…1 or 0…255, got {lowest} to {highest}")
    return np.rint(array * (255 / top)).astype(np.uint8)


def _from_image(image: Image.Image) -> Image.Image:
    name = getattr(image, "filename", "") or "The image"
    try:
        image.load()
        turned = {ORIENTATION: turn} if (turn := read_tags(image).orientation) != 1 else {}
        has_key = "transparency" in image.info and image.mode in ("1", "L", "P", "RGB")
        mode = "RGBA" if has_key else _CONVERTED.get(image.mode, image.mode)
        image = _from_lab(image) if mode == "LAB" else image.convert(mode)
        if image.mode in _PLAIN and not turned and "icc_profile" not in image.info:
            return image.convert("RGB")
        file = io.BytesIO()
        image.save(file, "TIFF", tiffinfo=turned)
    except (OSError, ValueError, SyntaxError) as error:  # opened, but not decoded before
        raise UnreadablePhoto(name, " ".join(str(error).split())) from None
    return open_photo(name, file.getvalue())


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    assert converted is not None  # it is where `inPlace` is False
    converted.info = {}
    return converted
