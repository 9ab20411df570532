"""ICC profiles made by hand: what ImageCms cannot make."""

from __future__ import annotations

import itertools
import struct

import numpy as np
from PIL import Image, ImageCms

from carbrand.photos.decode.icc_file import rgb_profile

# D50 is ProPhoto's white (ISO 22028-2).
PRO_PHOTO = rgb_profile((0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), (1.8,))


def icc(space: bytes, pcs: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """A profile of version 2 with those tags."""
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content.ljust(-(-len(content) // 4) * 4, b"\0")
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, kind, space, pcs)
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def grey_profile(gamma: float) -> bytes:
    """Grey of that gamma."""
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    return icc(b"GRAY", b"XYZ ", {b"wtpt": white, b"kTRC": curve})


def cmyk_profile(points: int = 5) -> bytes:
    """Inks as they look on a poor press, paler than Pillow takes them for."""
    steps = np.linspace(0, 1, points)
    inks = np.array(list(itertools.product(steps, repeat=4)))  # the last one changes fastest
    paper = (1 - 0.8 * inks[:, :3]) * (1 - 0.9 * inks[:, 3:])
    photo = Image.fromarray((255 * paper).round().astype(np.uint8)[None])
    srgb, lab = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    pixels = ImageCms.profileToProfile(photo, srgb, lab, outputMode="LAB")
    assert pixels is not None
    table = np.asarray(pixels)[0].copy()
    table[:, 1:] ^= 0x80  # Pillow's a and b are signed
    straight = bytes(range(256))
    lut = b"mft1" + bytes(4) + struct.pack(">4B", 4, 3, points, 0)
    lut += struct.pack(">9i", *(65536 * n for n in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut += straight * 4 + table.tobytes() + straight * 3
    return icc(b"CMYK", b"Lab ", {b"A2B0": lut, b"A2B1": lut}, b"prtr")
