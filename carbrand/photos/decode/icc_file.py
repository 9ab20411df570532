"""Writes ICC profiles of RGB spaces given by primaries and a curve (ICC.1:2010, version 4.3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

# x and y of white, red, green and blue (ITU-R BT.709; SMPTE EG 432-1; ITU-R BT.2020; Adobe 1998).
SRGB = (0.3127, 0.3290, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
DISPLAY_P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
REC_2020 = (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
ADOBE_RGB = (0.3127, 0.3290, 0.640, 0.330, 0.210, 0.710, 0.150, 0.060)

# Encoded to linear: an exponent g, or (g, a, b, c, d): (a x + b)^g for x >= d, otherwise c x.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
REC_709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def rgb_profile(chromaticities: Sequence[float], curve: Sequence[float]) -> bytes:
    """Build a profile from white, primaries and curve. Raises ValueError if they are invalid."""
    white, primaries = chromaticities[:2], chromaticities[2:]
    xy = np.array([*white, *primaries]).reshape(4, 2)
    if not np.isfinite(xy).all() or not ((xy >= 0) & (xy <= 1)).all() or not xy[:, 1].all():
        raise ValueError("its primaries are out of range")
    xyz = np.column_stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]])
    if abs(np.linalg.det(np.column_stack([xy[1:], np.ones(3)]))) < 1e-3:
        raise ValueError("its primaries lie on a line")
    colorants = xyz[1:] * np.linalg.solve(xyz[1:].T, xyz[0])[:, None]  # (3, XYZ)
    cones, cones_d50 = _BRADFORD @ xyz[0], _BRADFORD @ _D50
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(cones_d50 / cones) @ _BRADFORD
    red, green, blue = colorants @ adapt.T
    kind = 0 if len(curve) == 1 else 3
    response = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(curve)
    tags = {b"wtpt": _xyz(_D50), b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
    return _file(tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), response))


def _fixed(values: Sequence[float] | np.ndarray) -> bytes:
    """Pack values as s15Fixed16Number."""
    try:
        return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))
    except struct.error:
        raise ValueError("no such colours") from None


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _file(tags: dict[bytes, bytes]) -> bytes:
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content.ljust(-(-len(content) // 4) * 4, b"\0")
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + table + body
