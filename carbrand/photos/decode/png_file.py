"""The colour chunks of a PNG (PNG, third edition, 5.3), without decoding it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

# Chunks that define the colour space. Pillow refuses a photo if one of them is invalid.
COLOUR_CHUNKS = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})


def colour_chunks(data: bytes) -> dict[bytes, bytes]:
    """The first chunk of each of COLOUR_CHUNKS; empty bytes if its checksum is wrong."""
    found: dict[bytes, bytes] = {}
    for name, start, end in _colour_chunks(data):
        body, check = data[start + 8 : end - 4], data[end - 4 : end]
        right = zlib.crc32(name + body) == int.from_bytes(check, "big")
        found.setdefault(name, body if right else b"")
    return found


def without_colour_chunks(data: bytes) -> bytes:
    """The file without colour chunks, for Pillow to decode."""
    parts, at = [], 0
    for _, start, end in _colour_chunks(data):
        parts.append(data[at:start])
        at = end
    return b"".join([*parts, data[at:]]) if parts else data


def _colour_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of colour chunks before the pixel data, where they must be."""
    at = 8
    while at + 12 <= len(data) and (name := data[at + 4 : at + 8]) != b"IDAT":
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return
        if name in COLOUR_CHUNKS:
            yield name, at, end
        at = end
