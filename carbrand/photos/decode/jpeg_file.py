"""The segments of a JPEG, without decoding it (ITU T.81, annex B).

Only what lies between the start marker and the first end marker is the picture: a phone puts a
video behind it, a camera a second picture, and segments for applications may hold any bytes.
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
# Markers of which no segment follows: what is none at all, restarts, and the start and end.
_ALONE = frozenset({*range(0xC0), *range(0xD0, 0xDA)})


@dataclass(frozen=True)
class Scan:
    """One pass over the picture: its components, and which bits of which coefficients it brings."""

    components: tuple[int, ...]
    first: int
    last: int
    lowest_bit: int
    data_at: int
    """Where its entropy-coded data begins."""

    end: int
    """Where the next marker begins, or the file ends."""


@dataclass(frozen=True)
class JpegFile:
    """The structure of a JPEG by its markers, as far as they could be read."""

    progressive: bool
    height: int
    components: tuple[int, ...]
    scans: tuple[Scan, ...]
    has_end: bool

    @property
    def needs_all_scans(self) -> bool:
        """Whether it must be held whole to be decoded; also where that cannot be made out."""
        first = self.scans[0].components if self.scans else ()
        return self.progressive or not first or len(first) != len(self.components)

    @property
    def is_truncated(self) -> bool:
        """Whether its end marker or a scan is missing, whatever lies behind."""
        return not self.has_end or not self.scans or not self._is_complete()

    def _is_complete(self) -> bool:
        """Whether each component came, down to the last bit; and of the first, all coefficients or
        none but the mean. The others may lack some: whoever wrote the file could leave out zeros.
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
    """The structure of the first picture in `data`; raises nothing whatever the bytes."""
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
    """Each marker, where it is, and start and end of what it carries, up to the first end."""
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
        if marker in (_START, _END):  # a start: another picture, and this one broke off
            return
        after = end


def _scan(data: bytes, start: int, end: int, progressive: bool) -> Scan:
    components = tuple(data[start + 1 : min(end, start + 1 + 2 * data[start]) : 2])
    first, last, bits = data[end - 3 : end] if progressive and end - start > 3 else (0, 63, 0)
    return Scan(components, first, min(last, 63), bits & 15, end, len(data))
