"""The photo in a request: read as it comes in, and given up as soon as it is too much."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import BodyPartReader, web

from carbrand.serve.refusal import Busy, Refusal

MEGABYTE = 1_000_000
# So many photos of the largest size may lie in memory at once.
PHOTOS_HELD = 8
# For a whole photo: whoever is slower than that is no browser on this machine.
TIMEOUT_S = 30.0
_CHUNK = 65_536
_EMPTY = "The request holds no photo. Send the bytes of one as its body."
_PACKED = "The request is packed. Send the photo's bytes as they are."
_NO_FILE = (
    "The form holds no file. Send the photo as a part with a file name, or its bytes as the body."
)
# Parts of a form that are looked at: a page has a few fields before its photo.
MOST_PARTS = 100
_FILE_NAME = re.compile(r";\s*filename[*\d]*\s*=", re.IGNORECASE)
_NO_NAME = re.compile(r';\s*filename\s*=\s*(""|;|$)', re.IGNORECASE)
_FILE_TYPE = re.compile(r"\s*(image/|application/octet-stream)", re.IGNORECASE)
_AS_IT_IS = ("binary", "8bit", "7bit")


class Uploads:
    """Receives photos of `max_bytes` at most, and PHOTOS_HELD times that in all."""

    def __init__(self, max_bytes: int, timeout_s: float = TIMEOUT_S) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._room = PHOTOS_HELD * max_bytes

    @asynccontextmanager
    async def receive(self, request: web.Request) -> AsyncIterator[bytes]:
        """The photo's bytes, which count as held until the caller has done with them.

        They are the body, or the first file of a form. Raises Refusal.
        """
        chunks: list[bytes] = []
        try:
            await self._fill_in_time(chunks, request)
            yield b"".join(chunks)
        finally:
            self._room += sum(map(len, chunks))

    async def _fill_in_time(self, chunks: list[bytes], request: web.Request) -> None:
        try:
            await asyncio.wait_for(self._fill(chunks, request), self._timeout_s)
        except asyncio.TimeoutError:
            message = f"The photo did not come in within {self._timeout_s:g} s. Send it again."
            raise Refusal(408, message) from None

    async def _fill(self, chunks: list[bytes], request: web.Request) -> None:
        # A form holds a few words more than its photo; that is seen when its parts are read.
        if not _is_form(request) and (request.content_length or 0) > self._max_bytes:
            raise self._too_large()
        size = 0
        try:
            async for chunk in _read(request):
                size += len(chunk)
                if size > self._max_bytes:
                    raise self._too_large()
                if len(chunk) > self._room:
                    raise Busy
                self._room -= len(chunk)
                chunks.append(chunk)
        except (Refusal, ConnectionError):
            raise
        except Exception:  # aiohttp does not say what it raises at odd bytes: some twenty kinds
            message = "The request is garbled. Send the photo's bytes as its body."
            raise Refusal(400, message) from None
        if not size:
            raise Refusal(400, _EMPTY)

    def _too_large(self) -> Refusal:
        most = f"{self._max_bytes / MEGABYTE:g} MB"
        return Refusal(413, f"The photo is larger than {most}. Send a smaller one.")


def _is_form(request: web.Request) -> bool:
    return request.content_type.startswith("multipart/")


async def _read(request: web.Request) -> AsyncIterator[bytes]:
    """The photo in pieces."""
    if "Content-Encoding" in request.headers:
        raise Refusal(415, _PACKED)
    if not _is_form(request):
        async for chunk in request.content.iter_chunked(_CHUNK):
            yield chunk
        return
    form = await request.multipart()
    for _ in range(MOST_PARTS):
        part = await form.next()
        if part is None:
            raise Refusal(400, _NO_FILE)
        if not isinstance(part, BodyPartReader):
            raise Refusal(400, "The form holds another form. Send the photo as a part of its own.")
        if not _is_file(part):
            continue
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in _AS_IT_IS:
            raise Refusal(415, _PACKED)
        chunk = await part.read_chunk(_CHUNK)
        if not chunk and _NO_NAME.search(part.headers.get("Content-Disposition", "")):
            continue  # a field of a page in which no file was chosen
        while chunk:
            yield bytes(chunk)
            chunk = await part.read_chunk(_CHUNK)
        return
    raise Refusal(400, f"The form has more than {MOST_PARTS} parts. Send the photo alone.")


def _is_file(part: BodyPartReader) -> bool:
    """Whether a part of a form is a file, whatever its field is called: it says so itself.

    Not asked of aiohttp, which warns of odd names and quotes them.
    """
    return bool(
        _FILE_NAME.search(part.headers.get("Content-Disposition", ""))
        or _FILE_TYPE.match(part.headers.get("Content-Type", ""))
    )
