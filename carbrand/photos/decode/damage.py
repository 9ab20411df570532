"""Detection of corrupt photos that decode without an error.

Pillow drops the warnings of libjpeg, and does not verify the checksums of PNG data. WebP, BMP and
GIF have no checksums.

For a JPEG that was cut and then padded, or closed by an end marker, libjpeg warns as for one with
bytes changed inside. They differ in their pixels: a cut one has none from some block on.
"""

from __future__ import annotations

import re
import zlib

import numpy as np

from carbrand.photos.decode.formats import is_truncated
from carbrand.photos.decode.jpeg_file import Scan, read_jpeg

# Warnings of libjpeg (jerror.h) that mean broken pixels. The others are of odd but whole files, and
# so is "bad ICC marker".
_BROKEN = re.compile(
    r"corrupt jpeg data(?!: bad icc)|premature end|inconsistent progression|invalid sos",
    re.IGNORECASE,
)
# A run of one byte at the end of a scan is padding from here on, if libjpeg warned of the photo.
_PADDING = 16
# Of the picture, as much without data is a rest that is missing; a few blocks go wherever bytes
# were changed, and more of them where a scan refines the one before.
_MISSING, _MISSING_OF_A_REFINEMENT = 0.01, 0.07
_END_MARKER = b"\xff\xd9"


def find_damage(data: bytes) -> str | None:
    """A message on what is corrupt in the bytes of a photo that decodes; None for an intact one.

    Of 300 JPEGs with 8 random bytes changed it found 250, Pillow's own decoder 12 more; the rest
    happened to remain valid. No false positive is known.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg_damage(data)
    if data.startswith(b"\x89PNG"):
        return _png_damage(data)
    return None


def _jpeg_damage(data: bytes) -> str | None:
    import simplejpeg  # libjpeg-turbo in a strict mode: warnings are errors

    try:
        # An eighth of the size: every bit is still read, and next to nothing computed.
        simplejpeg.decode_jpeg(data, "gray", fastdct=True, fastupsample=True, min_height=1)
    except ValueError as error:
        message = " ".join(str(error).split())
        return message if _BROKEN.search(message) else None
    return None


def is_cut_off(data: bytes) -> bool:
    """Whether a damaged photo was cut, whatever was put behind the cut.

    A JPEG is decoded twice to a few pixels for each block, with the last scan and without; the
    blocks at the end to which the scan brings nothing are those that are missing.
    """
    if not data.startswith(b"\xff\xd8"):
        return data.startswith(b"\x89PNG") and is_truncated(data, "PNG")
    jpeg = read_jpeg(data)
    if jpeg.is_truncated:
        return True
    last = jpeg.scans[-1 if jpeg.needs_all_scans else 0]
    head, body = data[: last.data_at], _without_padding(data, last)
    side = 2 if jpeg.needs_all_scans else 1  # a scan that refines leaves the mean as it is
    rows = -(-jpeg.height * side // 8)
    with_scan, without = (_decode_blocks(head + part + _END_MARKER, rows) for part in (body, b""))
    if with_scan is None or without is None:
        return False
    missing = _unchanged_at_end(with_scan != without, side)
    if jpeg.needs_all_scans:  # a scan that brings nothing at all may be as it should be
        return _MISSING_OF_A_REFINEMENT <= missing < 1
    return missing >= _MISSING


def _unchanged_at_end(changed: np.ndarray, side: int) -> float:
    """Of (h, w) bools, the share behind the last block of `side` squared that holds one."""
    down, across = (length // side for length in changed.shape)
    blocks = changed[: side * down, : side * across].reshape(down, side, across, side)
    last = np.flatnonzero(blocks.any(axis=(1, 3)))
    return 1 - (last[-1] + 1) / max(1, down * across) if last.size else 1.0


def ends_in_padding(data: bytes) -> bool:
    """Whether the data of a JPEG's last scan end in a run of one byte, as few whole ones do."""
    scans = read_jpeg(data).scans
    return (
        bool(scans) and len(_without_padding(data, scans[-1])) < scans[-1].end - scans[-1].data_at
    )


def _without_padding(data: bytes, scan: Scan) -> bytes:
    body = data[scan.data_at : scan.end]
    stripped = body.rstrip(body[-1:])
    return stripped if len(body) - len(stripped) >= _PADDING else body


def _decode_blocks(data: bytes, rows: int) -> np.ndarray | None:
    """(rows, w) uint8 brightness, whatever libjpeg warns of; None where it fails."""
    import simplejpeg

    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(
            data, "gray", fastdct=True, fastupsample=True, min_height=rows, strict=False
        )
    except (ValueError, KeyError):  # the latter for a sampling of colours that it has no name for
        return None
    return pixels[..., 0]


def _png_damage(data: bytes) -> str | None:
    view, at = memoryview(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4], "big")
        name = bytes(view[at + 4 : at + 8])
        if end + 4 > len(data):
            return None
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return f"a wrong checksum of its {name.decode('ascii', 'replace')} data"
        if name == b"IEND":
            return None
        at = end + 4
    return None
