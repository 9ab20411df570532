"""A running `carbrand serve`, and a server whose answers come when they are told to."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from carbrand.serve.server import build_application
from carbrand.serve.start_page import render_page
from carbrand.serve.upload import Uploads
from carbrand.serve.workers import Workers
from tests.conftest import SET_BY_TESTS, draw_photo

MODEL = "artifacts/finetune/model.h5"


PATIENCE_S = 120.0


@dataclass(frozen=True)
class Server:
    """A running `carbrand serve`."""

    process: subprocess.Popen[str]
    address: str
    port: int

    def ask(
        self,
        body: Any = b"",
        method: str = "POST",
        path: str = "/predict",
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in small letters, and body. `Content_Type=…` sets a header."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with closing(connection):
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return response.status, received, response.read()

    def predict(self, photo: bytes, **headers: str) -> dict[str, Any]:
        status, _, body = self.ask(photo, **headers)
        assert status == 200, body
        return json.loads(body)

    def end(self, by: signal.Signals) -> tuple[int, str, str]:
        """Exit status and what was printed after the line with the address."""
        self.process.send_signal(by)
        said, complained = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said, complained


def start(project: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name not in SET_BY_TESTS}
    return subprocess.Popen(
        [sys.executable, "-m", "carbrand.cli", "serve", *arguments],
        cwd=project,
        env=clean | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(project: Path, *arguments: str, **env: str) -> Iterator[Server]:
    """A server on any free port, until it has ended."""
    process = start(project, "--port", "0", *arguments, **env)
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r" on (http://.*:(\d+)/) ", line)
        assert found, process.communicate(timeout=PATIENCE_S)
        yield Server(process, found[1], int(found[2]))
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def as_bytes(photo: Image.Image, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    photo.save(file, format)
    return file.getvalue()


def a_photo(seed: int = 0) -> bytes:
    return as_bytes(draw_photo((200, 30, 30), seed))


class Answering:
    """Takes photos, and answers when it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.begun: list[bytes] = []

    def __call__(self, photo: bytes, heatmap: bool) -> dict[str, Any]:
        assert heatmap
        self.begun.append(photo)
        assert self.may.wait(PATIENCE_S)
        return {"brand": photo.decode()}


def visit(uploads: Uploads, workers: Workers, talk: Callable[[TestClient, Answering], Any]) -> None:
    async def main() -> None:
        answering = Answering()
        page = render_page(["asta"], 1)
        application = build_application(answering, page, uploads, workers, "m", local=True)
        server = TestServer(application)
        try:
            async with server:
                await server.start_server(handler_cancellation=True)
                async with TestClient(server) as client:
                    await talk(client, answering)
        finally:
            answering.may.set()
            workers.stop()

    asyncio.run(main())


async def until(true: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not true():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), PATIENCE_S)
