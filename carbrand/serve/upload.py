"""The photo in a request: read as it comes in, and given up as soon as it is too much."""

from __future__ import annotations

import asyncio
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
        except (web.RequestPayloadError, ValueError, AssertionError):  # what aiohttp raises
            message = "The request is garbled. Send the photo's bytes as its body."
            raise Refusal(400, message) from None
        if not size:
            raise Refusal(400, _EMPTY)

    def _too_large(self) -> Refusal:
        most = f"{self._max_bytes / MEGABYTE:g} MB"
        return Refusal(413, f"The photo is larger than {most}. Send a smaller one.")


def _is_form(request: web.Request) -> bool:
    return request.content_type == "multipart/form-data"


async def _read(request: web.Request) -> AsyncIterator[bytes]:
    """The photo in pieces."""
    if "Content-Encoding" in request.headers:
        raise Refusal(415, "The request is packed. Send the photo's bytes as they are.")
    if not _is_form(request):
        async for chunk in request.content.iter_chunked(_CHUNK):
            yield chunk
        return
    part = await (await request.multipart()).next()
    if isinstance(part, BodyPartReader):
        while chunk := await part.read_chunk(_CHUNK):
            yield bytes(chunk)
