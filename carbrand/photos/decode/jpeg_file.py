"""The segments of a JPEG, without decoding it (ITU T.81, annex B).

The picture ends at the first end marker: phones append a video, cameras a second picture.
Application segments may hold any bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

# In the entropy-coded data of a scan, 0xFF00 is a byte of data and 0xFFD0 to 0xFFD7 restart it.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _START, _END = 0xDA, 0xD8, 0xD9
# Markers without a segment: restarts, start and end of image, and invalid ones.
_ALONE = frozenset({*range(0xC0), *range(0xD0, 0xDA)})


@dataclass(frozen=True)
class Scan:
    """One scan: its components, and which bits of which coefficients it holds."""

    components: tuple[int, ...]
    first: int
    last: int
    lowest_bit: int
    data_at: int
    """Offset of its entropy-coded data."""

    end: int
    """Offset of the next marker, or of the end of the file."""


@dataclass(frozen=True)
class JpegFile:
    """The structure of a JPEG, as far as its markers could be read."""

    progressive: bool
    height: int
    components: tuple[int, ...]
    scans: tuple[Scan, ...]
    has_end: bool

    @property
    def needs_all_scans(self) -> bool:
        """Whether decoding holds all coefficients in memory (several scans, or unknown)."""
        first = self.scans[0].components if self.scans else ()
        return self.progressive or not first or len(first) != len(self.components)

    @property
    def is_truncated(self) -> bool:
        """Whether its end marker or a scan is missing."""
        return not self.has_end or not self.scans or not self._is_complete()

    def _is_complete(self) -> bool:
        """Whether the scans hold every component down to its lowest bit.

        Of the first component, all coefficients or only the mean; encoders may omit coefficients
        of the others that are all zero.
        """
        bits = {
            (component, coefficient): scan.lowest_bit
            for scan in self.scans
            for component in scan.components
            for coefficient in range(scan.first, scan.last + 1)
        }
        needed = {(component, 0) for component in self.components}
        needed |= {(component, 63) for component in self.components[:1] if (component, 1) in bits}
        return needed <= bits.keys() and not any(bits.values())


def read_jpeg(data: bytes) -> JpegFile:
    """Read the structure of the first picture in `data`. Never raises."""
    progressive, height, has_end = False, 0, False
    components: tuple[int, ...] = ()
    scans: list[Scan] = []
    for marker, at, start, end in _segments(data):
        if scans and scans[-1].end == len(data):
            scans[-1] = replace(scans[-1], end=at)
        if marker == _END:
            has_end = True
        elif marker in _FRAMES and end - start > 6:
            progressive = marker in _PROGRESSIVE
            height = int.from_bytes(data[start + 1 : start + 3], "big")
            components = tuple(data[start + 6 : min(end, start + 6 + 3 * data[start + 5]) : 3])
        elif marker == _START_OF_SCAN and end > start:
            scans.append(_scan(data, start, end, progressive))
    return JpegFile(progressive, height, components, tuple(scans), has_end)


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield each marker, its offset, and the start and end of its segment, up to the first end."""
    after = 2
    while (found := _MARKER.search(data, after)) is not None:
        marker, start = data[found.end() - 1], found.end()
        end = start
        if marker not in _ALONE:
            end += max(2, int.from_bytes(data[start : start + 2], "big"))
            start += 2
        if end > len(data):
            return
        yield marker, found.start(), start, end
        if marker in (_START, _END):  # a start: another picture begins, this one was cut off
            return
        after = end


def _scan(data: bytes, start: int, end: int, progressive: bool) -> Scan:
    components = tuple(data[start + 1 : min(end, start + 1 + 2 * data[start]) : 2])
    first, last, bits = data[end - 3 : end] if progressive and end - start > 3 else (0, 63, 0)
    return Scan(components, first, min(last, 63), bits & 15, end, len(data))
