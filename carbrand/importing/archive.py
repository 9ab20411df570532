"""Unpacks a ZIP or tar under names of our own, so that no name in it leads anywhere.

Sizes are checked before a member is read. Links and devices are never made.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.photos.folders.files import FoundFile
from carbrand.photos.photo import SUFFIXES
from carbrand.photos.photo_limits import MAX_BYTES

MAX_MEMBERS, MAX_UNPACKED_BYTES = 1_000_000, 500_000_000_000
# Photos hardly shrink; drawings saved as BMP do, a hundredfold.
MAX_RATIO, SMALL_BYTES = 200, 100_000_000
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl"})
_OPENERS: tuple[tuple[bytes, Any], ...] = (
    *((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open), (b"", open)),
)
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(EOFError, NotImplementedError, OverflowError, RuntimeError, ValueError, struct.error),
)
# Name, bytes, whether it is a regular file, and what opens it.
_Member = tuple[str, int, bool, Callable[[], Any]]


def unpack(archive: Path, folder: Path) -> tuple[list[FoundFile], dict[str, str]]:
    """Unpack photos and tables into `folder`: all files, and name → reason of what is none.

    `inside` of a file is its name in the archive. Files of other kinds are listed, not unpacked.
    Raises UserError if the archive is damaged, too large, locked, or has a name outside of it.
    """
    files, refused, unpacked = [], {}, 0
    most = min(MAX_UNPACKED_BYTES, max(MAX_RATIO * archive.stat().st_size, SMALL_BYTES))
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    try:
        for number, (name, size, is_file, opener) in enumerate(members(archive)):
            unpacked += size
            if number >= MAX_MEMBERS or unpacked > most:
                raise UserError(
                    f"{archive} would be too large unpacked: over {number:,} files and "
                    f"{unpacked / 1e6:,.0f} MB. Unpack it by hand if you trust it."
                )
            parts = tuple(part for part in name.split("/") if part not in ("", "."))
            if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name) or not parts:
                raise UserError(f"{archive}: {one_line(name)!r} leads out of it. Do not trust it.")
            if not is_file or size > MAX_BYTES:
                refused["/".join(parts)] = "too large" if is_file else "a link or a device"
                continue
            target = folder / f"{number}{Path(parts[-1]).suffix.lower()}"
            files.append(FoundFile(str(target), "", "", parts))
            if target.suffix in SUFFIXES | TABLE_SUFFIXES:
                with opener() as stream, target.open("wb") as out:
                    shutil.copyfileobj(stream, out)
    except _DAMAGED as error:  # or needs a password
        reason = one_line(str(error))
        raise UserError(
            f"{archive} is no whole and open ZIP or tar ({reason}). Get it again, or unpack it."
        ) from None
    return sorted(files, key=lambda file: file.inside), refused


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
            if not info.flag_bits & 0x800:  # not marked as UTF-8, which macOS forgets to
                with contextlib.suppress(UnicodeError):
                    name = name.encode("cp437").decode("utf-8")
            if not info.is_dir():
                is_file = kind in (0, stat.S_IFREG)
                # Old programs on Windows write backslashes.
                opener = partial(opened.open, info)
                yield name.replace("\\", "/"), info.file_size, is_file, opener


def _tar_members(archive: Path) -> Iterator[_Member]:
    with archive.open("rb") as raw:
        start = raw.read(6)
    opener = next(opener for magic, opener in _OPENERS if start.startswith(magic))
    with opener(archive, "rb") as stream, tarfile.open(fileobj=_Bounded(stream), mode="r:") as tar:
        while info := tar.next():
            tar.members = []  # type: ignore[attr-defined]  # or it would remember them all
            if not info.isdir():
                yield info.name, info.size, info.isreg(), partial(tar.extractfile, info)


class _Bounded(io.RawIOBase):
    """A stream that is never read whole: a forged header may ask for more than there is memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.seek, self.tell = stream.seek, stream.tell  # type: ignore[method-assign]
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_BYTES:
            raise tarfile.ReadError("a header that is far too long")
        return self._stream.read(size)
