"""Scaling of grey photos of more than 8 bits to 8 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from carbrand.photos.decode.bands import bands
from carbrand.photos.decode.formats import tiff_directory

# TIFF tags BitsPerSample, PhotometricInterpretation, SampleFormat (TIFF 6.0, sections 8 and 19).
_BITS, _WHITE_IS_ZERO, _SAMPLE_FORMAT = 258, 262, 339


def scale_deep_grey(photo: Image.Image, data: bytes, format: str) -> tuple[Image.Image, bool]:
    """Scale the full range to 8 bits, as RGB (Pillow's conversion clips to white).

    Also returns whether any pixel has the file's transparent grey; those become white.
    """
    tags = tiff_directory(data) if format == "TIFF" else None
    unsigned = tags is not None and tags.first(_BITS) == 32 and tags.first(_SAMPLE_FORMAT) <= 1
    boxes = bands(photo.size)

    def values(box: tuple[int, int, int, int]) -> np.ndarray:
        band = np.asarray(photo.crop(box))
        if band.dtype.kind == "f" and not np.isfinite(band).all():
            return np.nan_to_num(band, posinf=0, neginf=0)
        return band.view(np.uint32) if unsigned and band.dtype == np.int32 else band

    if photo.mode.startswith("I;16"):
        bits = tags.first(_BITS) if tags is not None else 16
        top = 2.0 ** (bits if 8 < bits < 16 else 16) - 1
    else:  # the file does not give the range
        highest = max(values(box).max() for box in boxes)
        tops = (1.0, 255.0, 65535.0) if photo.mode == "F" else (255.0, 65535.0)
        widest = 2.0 ** (32 if unsigned else 31) - 1
        top = next((top for top in tops if highest <= top), widest)
    inverted = tags is not None and _WHITE_IS_ZERO in tags.tags and not tags.first(_WHITE_IS_ZERO)
    key = photo.info.get("transparency")
    grey, opaque = Image.new("L", photo.size), True
    for box in boxes:
        band = values(box)
        scaled = np.rint(np.clip(band * (255 / top), 0, 255)).astype(np.uint8)
        if inverted:
            scaled = 255 - scaled
        if isinstance(key, int) and (band == key).any():
            opaque = False
            scaled[band == key] = 255
        grey.paste(Image.fromarray(scaled), box)
    return grey.convert("RGB"), not opaque
