"""The chunks of a PNG (PNG, third edition, 5.3), without decoding it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import takewhile

# Chunks that define the colour space. Pillow refuses a photo if one of them is invalid.
COLOUR_CHUNKS = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each chunk that is whole."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return
        yield data[at + 4 : at + 8], at, end
        at = end


def is_intact(data: bytes, start: int, end: int) -> bool:
    """Whether the checksum of a chunk is right."""
    stored = int.from_bytes(data[end - 4 : end], "big")
    return zlib.crc32(memoryview(data)[start + 4 : end - 4]) == stored


def colour_chunks(data: bytes) -> dict[bytes, bytes]:
    """The first chunk of each of COLOUR_CHUNKS; empty bytes if its checksum is wrong."""
    found: dict[bytes, bytes] = {}
    for name, start, end in _colour_chunks(data):
        found.setdefault(name, data[start + 8 : end - 4] if is_intact(data, start, end) else b"")
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
    for name, start, end in takewhile(lambda chunk: chunk[0] != b"IDAT", chunks(data)):
        if name in COLOUR_CHUNKS:
            yield name, start, end
