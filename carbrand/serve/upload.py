"""Reading the photos of a request, with limits on their size, number, time and memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import BodyPartReader, web

from carbrand.serve.refusal import Busy, Refusal

MEGABYTE = 1_000_000
# Photos of the largest size that may be in memory at once.
MAX_PHOTOS_HELD = 8
# For a whole photo; a browser on this machine is faster.
TIMEOUT_S = 30.0
_CHUNK = 65_536
_EMPTY = "The request has no photo. Send the bytes of one as its body."
_ENCODED = "The request is encoded. Send the photo's bytes without an encoding."
_NO_FILE = (
    "The form has no file. Send the photo as a part with a file name, or its bytes as the body."
)
# Parts of a form that are read; a page may have a few fields beside its photos.
MAX_PARTS = 100
MAX_FILES = 64
_FILE_NAME = re.compile(r";\s*filename[*\d]*\s*=", re.IGNORECASE)
_NO_NAME = re.compile(r';\s*filename\s*=\s*(""|;|$)', re.IGNORECASE)
_FILE_TYPE = re.compile(r"\s*(image/|application/octet-stream)", re.IGNORECASE)
_NOT_ENCODED = ("binary", "8bit", "7bit")


class Uploads:
    """Receives photos of at most `max_bytes` each, and MAX_PHOTOS_HELD times that in all."""

    def __init__(self, max_bytes: int, timeout_s: float = TIMEOUT_S) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._room = MAX_PHOTOS_HELD * max_bytes

    @asynccontextmanager
    async def receive(self, request: web.Request) -> AsyncIterator[list[bytes]]:
        """The bytes of each photo: the body, or the files of a form. Raises Refusal.

        They count against the memory limit until the block ends.
        """
        photos: list[list[bytes]] = []
        try:
            await self._fill_in_time(photos, request)
            yield [b"".join(chunks) for chunks in photos]
        finally:
            self._room += sum(len(chunk) for chunks in photos for chunk in chunks)

    async def _fill_in_time(self, photos: list[list[bytes]], request: web.Request) -> None:
        try:
            await asyncio.wait_for(self._fill(photos, request), self._timeout_s)
        except asyncio.TimeoutError:
            message = f"The photo was not received within {self._timeout_s:g} s. Send it again."
            raise Refusal(408, message) from None

    async def _fill(self, photos: list[list[bytes]], request: web.Request) -> None:
        # A form has more bytes than its photos, so their size is checked when the parts are read.
        if not _is_form(request) and (request.content_length or 0) > self._max_bytes:
            raise self._too_large()
        size = total = 0
        try:
            async for number, chunk in _read(request):
                if number == len(photos):
                    photos.append([])
                    size = 0
                size, total = size + len(chunk), total + len(chunk)
                if size > self._max_bytes:
                    raise self._too_large()
                if total > MAX_PHOTOS_HELD * self._max_bytes:
                    raise Refusal(413, "The photos are too large together. Send fewer at once.")
                if len(chunk) > self._room:
                    raise Busy
                self._room -= len(chunk)
                photos[-1].append(chunk)
        except (Refusal, ConnectionError):
            raise
        except (
            Exception
        ):  # aiohttp does not document its errors for malformed bodies, some twenty kinds
            message = "The request is malformed. Send the photo's bytes as its body."
            raise Refusal(400, message) from None
        if not total:
            raise Refusal(400, _EMPTY)

    def _too_large(self) -> Refusal:
        most = f"{self._max_bytes / MEGABYTE:g} MB"
        return Refusal(413, f"The photo is larger than {most}. Send a smaller one.")


def _is_form(request: web.Request) -> bool:
    return request.content_type.startswith("multipart/")


async def _read(request: web.Request) -> AsyncIterator[tuple[int, bytes]]:
    """The photos in chunks, each with the number of its photo."""
    if "Content-Encoding" in request.headers:
        raise Refusal(415, _ENCODED)
    if not _is_form(request):
        async for chunk in request.content.iter_chunked(_CHUNK):
            yield 0, chunk
        return
    form, files = await request.multipart(), 0
    for _ in range(MAX_PARTS + 1):
        part = await form.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            raise Refusal(400, "The form has a nested form. Send the photo as a part of its own.")
        if not _is_file(part):
            continue
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in _NOT_ENCODED:
            raise Refusal(415, _ENCODED)
        chunk = await part.read_chunk(_CHUNK)
        if not chunk and _NO_NAME.search(part.headers.get("Content-Disposition", "")):
            continue  # a file field without a chosen file
        if files == MAX_FILES:
            raise Refusal(413, f"The form has more than {MAX_FILES} photos. Send fewer at once.")
        yield files, bytes(chunk)
        while chunk := await part.read_chunk(_CHUNK):
            yield files, bytes(chunk)
        files += 1
    else:
        raise Refusal(400, f"The form has more than {MAX_PARTS} parts. Send only photos.")
    if not files:
        raise Refusal(400, _NO_FILE)


def _is_file(part: BodyPartReader) -> bool:
    """Whether a part of a form is a file, by its headers.

    Not by aiohttp's parser, which logs and quotes odd names.
    """
    return bool(
        _FILE_NAME.search(part.headers.get("Content-Disposition", ""))
        or _FILE_TYPE.match(part.headers.get("Content-Type", ""))
    )
