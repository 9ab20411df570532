"""Inspection of a single file: decoding, issues, quality, and hashes to find copies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from carbrand.checks.copies.fingerprint import (
    Fingerprint,
    fingerprint,
    perceptual_hash,
    working_copy,
)
from carbrand.checks.copies.window_hash import HASH, hash_windows
from carbrand.checks.quality import measure, quality_issues
from carbrand.photos.decode.bands import bands
from carbrand.photos.decode.damage import find_damage, is_cut_off
from carbrand.photos.decode.formats import extension_fits
from carbrand.photos.folders.files import FoundFile
from carbrand.photos.folders.links import refusal_reason
from carbrand.photos.manifest import Row
from carbrand.photos.photo import CUT_OFF, UnreadablePhoto, open_photo, read_file


@dataclass(frozen=True)
class PhotoLimits:
    """Limits for photos.

    folders: links must point into one of these. max_pixels: checked before decoding. max_aspect:
    longer side / shorter side.
    """

    folders: Sequence[Path]
    max_pixels: int
    min_side_px: int
    max_aspect: float


@dataclass(frozen=True)
class Inspection:
    """The row of one file, without its status, and the hashes by which copies are found."""

    row: Row
    fingerprints: tuple[Fingerprint, ...] = ()
    windows: np.ndarray = field(default_factory=lambda: np.empty(0, HASH))


def inspect_file(file: FoundFile, limits: PhotoLimits) -> Inspection:
    """Inspect one file. Never raises for an unreadable one."""
    row = Row(path=file.path, split=file.split, brand=file.brand)
    if file.is_hidden:
        return Inspection(replace(row, issues=("hidden",)))
    # Decided by the content later: a file named .heic may be a JPEG.
    if not (file.is_photo or file.is_unsupported_photo):
        reason = "a photo outside the brand folders" if file.has_photo_suffix else ""
        return Inspection(replace(row, issues=("not_a_photo",), reason=reason))
    try:
        _check_place(file.path, limits.folders)
        data = read_file(file.path)
        row = replace(row, sha256=hashlib.sha256(data).hexdigest())
        photo = open_photo(file.path, data, limits.max_pixels)
        damage = find_damage(data)
        if damage and is_cut_off(data):
            raise UnreadablePhoto(file.path, CUT_OFF, "truncated")
    except UnreadablePhoto as error:
        return Inspection(replace(row, issues=(error.code,), reason=error.reason))
    return _inspect_photo(row, photo, damage or "", limits)


def _check_place(path: str, folders: Sequence[Path]) -> None:
    """Raise UnreadablePhoto for a link to a file outside `folders`."""
    reason = refusal_reason(path, folders)
    if reason:
        raise UnreadablePhoto(path, reason)


def _inspect_photo(row: Row, photo: Image.Image, damage: str, limits: PhotoLimits) -> Inspection:
    quality = measure(photo)
    grey = working_copy(photo)
    source_format = photo.info["source_format"]
    shorter, longer = sorted(photo.size)
    found = {
        "damaged": bool(damage),
        "wrong_extension": not extension_fits(row.path, source_format),
        "too_small": shorter < limits.min_side_px,
        "extreme_aspect": longer > limits.max_aspect * shorter,
    }
    issues = [code for code, applies in found.items() if applies]
    return Inspection(
        replace(
            row,
            width=photo.width,
            height=photo.height,
            format=source_format,
            mode=photo.info["source_mode"],
            brightness=quality.brightness,
            sharpness=quality.sharpness,
            pixel_sha256=hash_pixels(photo),
            phash=f"{perceptual_hash(photo):016x}",
            issues=(*issues, *photo.info["oddities"], *quality_issues(quality)),
            reason=damage or photo.info["profile_problem"],
            taken=photo.info["taken"],
            camera=photo.info["camera"],
        ),
        fingerprint(grey),
        hash_windows(grey),
    )


def hash_pixels(photo: Image.Image) -> str:
    """SHA-256 of the size and the RGB bytes; the same for equal pixels in another file format."""
    digest = hashlib.sha256(f"{photo.width}x{photo.height}:".encode())
    for box in bands(photo.size):  # a copy of all pixels may be large
        digest.update(photo.crop(box).tobytes())
    return digest.hexdigest()
