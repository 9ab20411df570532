"""Colour management: conversion from the colour space of a file to sRGB.

The colour space is given by an ICC profile, or by chunks of a PNG. The conversion is that of Little
CMS: relative colorimetric, with black point compensation, in 8 bits. Nothing is converted if the
profile is equivalent to sRGB, whatever its name.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from carbrand.photos.decode.icc_file import (
    DISPLAY_P3,
    REC_709_CURVE,
    REC_2020,
    SRGB,
    SRGB_CURVE,
    rgb_profile,
)
from carbrand.photos.decode.png_file import colour_chunks

# The largest profiles, for print, have 3 MB.
MAX_PROFILE_BYTES = 8_000_000
# A profile that changes no level (0…255) by more than this is sRGB: tables and matrices round.
SRGB_WITHIN = 3
# Levels between black and white; a profile that leaves fewer is broken.
MIN_RANGE = 64
# gAMA for an exponent of 2.2, which means sRGB; libpng's tolerance is 5 % too.
_GAMMA, _GAMMA_WITHIN = 45455, 0.05

# Mode of Pillow → colour space of ICC.1; other modes are converted by Pillow.
_SPACES = {"1": "GRAY", "L": "GRAY", "LA": "GRAY", "La": "GRAY", "F": "GRAY", "CMYK": "CMYK"}
_SPACES |= dict.fromkeys(("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "YCbCr"), "RGB")
_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
# Code points of cICP (ITU-T H.273): primaries of sRGB, P3 and Rec. 2020; curves other than HDR.
_PRIMARIES = {1: SRGB, 9: REC_2020, 12: DISPLAY_P3}
_CURVES: dict[int, tuple[float, ...]] = {13: SRGB_CURVE, 4: (2.2,), 5: (2.8,), 8: (1.0,)}
_CURVES |= dict.fromkeys((1, 6, 14, 15), REC_709_CURVE)

Convert = Callable[[Image.Image], Image.Image]


class UnusableProfile(Exception):
    """A profile that cannot be applied; the message is the reason."""


@dataclass(frozen=True)
class Colours:
    """The conversion of a photo's colours to sRGB."""

    convert: Convert | None = None
    """From RGB (in place; grey is RGB too) or CMYK to RGB; None where none is needed."""

    problem: str = ""
    """Why its profile is ignored, or empty."""


def read_colours(photo: Image.Image, data: bytes, format: str) -> Colours:
    """Find the conversion of a photo from the metadata of its file. Decodes no pixels."""
    space = "GRAY" if photo.mode.startswith("I") else _SPACES.get(photo.mode)
    if not space:
        return Colours()
    try:
        if format == "PNG":
            return Colours(_png_conversion(colour_chunks(data), space))
        profile = photo.info.get("icc_profile", b"")
        if "icc_profile" in photo.info and not profile:
            raise UnusableProfile("parts of it are missing")
        return Colours(_conversion(profile, space) if profile else None)
    except UnusableProfile as error:
        return Colours(problem=f"its colour profile is not used: {error}")


def _png_conversion(chunks: dict[bytes, bytes], space: str) -> Convert | None:
    """By the chunk of highest precedence (PNG, third edition, 4.3)."""
    if b"cICP" in chunks:
        return _conversion_from_numbers(*_read_cicp(chunks[b"cICP"]))
    if b"iCCP" in chunks:
        return _conversion(_unpack_profile(chunks[b"iCCP"]), space)
    if b"sRGB" in chunks or not chunks:
        return None
    gamma, white_and_primaries = chunks.get(b"gAMA"), chunks.get(b"cHRM")
    curve: tuple[float, ...] = SRGB_CURVE
    primaries: tuple[float, ...] = SRGB
    if gamma is not None:
        if len(gamma) < 4 or not 5_000 <= int.from_bytes(gamma[:4], "big") <= 1_000_000:
            raise UnusableProfile("its gamma is out of range")
        stored = int.from_bytes(gamma[:4], "big")
        if abs(stored / _GAMMA - 1) > _GAMMA_WITHIN:
            curve = (100_000 / stored,)
    if white_and_primaries is not None:
        if len(white_and_primaries) < 32:
            raise UnusableProfile("its primaries are cut off")
        numbers = struct.unpack(">8I", white_and_primaries[:32])
        primaries = tuple(number / 100_000 for number in numbers)
    return _conversion_from_numbers(primaries, curve)


def _read_cicp(body: bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if len(body) < 4 or body[0] not in _PRIMARIES or body[1] not in _CURVES or body[2]:
        raise UnusableProfile("its code points are not supported, such as HDR")
    return _PRIMARIES[body[0]], _CURVES[body[1]]


def _conversion_from_numbers(
    primaries: tuple[float, ...], curve: tuple[float, ...]
) -> Convert | None:
    try:
        profile = rgb_profile(primaries, curve)
    except ValueError as error:
        raise UnusableProfile(str(error)) from None
    return _conversion(profile, "RGB")


def _unpack_profile(chunk: bytes) -> bytes:
    """The profile in an iCCP chunk: a name, 0, the method 0, and zlib data."""
    name, _, packed = chunk.partition(b"\0")
    if not (0 < len(name) < 80 and packed.startswith(b"\0")):
        raise UnusableProfile("its chunk is broken")
    try:
        return zlib.decompressobj().decompress(packed[1:], MAX_PROFILE_BYTES + 1)
    except zlib.error:
        raise UnusableProfile("it cannot be decompressed") from None


def _conversion(profile: bytes, space: str) -> Convert | None:
    """The conversion from `space` to sRGB; None if it is sRGB already."""
    if not isinstance(profile, bytes):
        raise UnusableProfile("it is not stored as bytes")
    if len(profile) > MAX_PROFILE_BYTES:
        raise UnusableProfile(f"more than {MAX_PROFILE_BYTES / 1e6:.0f} MB")
    if len(profile) < 132 or profile[36:40] != b"acsp" or profile[12:16] not in _CLASSES:
        raise UnusableProfile("it is broken")
    if b"mpet" in profile:  # chains of any length, which no photo needs
        raise UnusableProfile("its kind is not supported")
    own = profile[16:20].decode("latin-1").strip()
    if own == space:
        return _build(profile, space)
    if own == "RGB" and space == "GRAY" and _build(profile, "RGB") is None:
        return None  # a grey photo with an sRGB profile is common and harmless
    raise UnusableProfile(f"it is for {own if own.isalnum() else 'other'} colours, not for {space}")


@lru_cache(maxsize=8)
def _build(profile: bytes, space: str) -> Convert | None:
    from PIL import ImageCms

    mode = {"GRAY": "L"}.get(space, space)
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(io.BytesIO(rgb_profile(SRGB, SRGB_CURVE))),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        probe = _probe(mode)
        after = np.asarray(transform.apply(probe), dtype=int)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        raise UnusableProfile("it is broken") from None
    if np.ptp(after.mean(axis=2)) < MIN_RANGE:
        raise UnusableProfile("it maps all colours to nearly one")
    if space == "CMYK":
        return transform.apply
    if np.abs(after - np.asarray(probe.convert("RGB"))).max() <= SRGB_WITHIN:
        return None
    if space == "GRAY":
        table = after[0].T.ravel().tolist()
        return lambda photo: photo.point(table)
    return transform.apply_in_place


def _probe(mode: str) -> Image.Image:
    """An image of all greys, and of colours all over the space."""
    ramp = np.arange(256, dtype=np.uint8)
    if mode == "L":
        return Image.frombytes("L", (256, 1), ramp.tobytes())
    steps = np.linspace(0, 255, 6).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(*[steps] * len(mode)), axis=-1).reshape(-1, len(mode))
    greys = np.repeat(ramp[:, None], len(mode), axis=1)
    colours = np.concatenate([greys, cube])
    return Image.frombytes(mode, (len(colours), 1), colours.tobytes())
