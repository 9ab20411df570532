"""The server: three addresses, and how it starts and ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from carbrand.node.errors import DONE, UserError
from carbrand.node.terminal import print_line, print_note
from carbrand.serve.answer import Answerer
from carbrand.serve.connection import Connection, answer_http_error, json_answer, where_it_failed
from carbrand.serve.guard import HEADERS, check_host, check_origin, is_loopback
from carbrand.serve.refusal import Busy, Refusal
from carbrand.serve.start_page import Page, render_page
from carbrand.serve.upload import MEGABYTE, Uploads
from carbrand.serve.workers import Workers

# A connection that asks for nothing is closed, and so is one whose photo nobody wants.
IDLE_S, UNWANTED_S = 20.0, 5.0
# What is being answered when the server is told to end has so long.
LAST_ANSWERS_S = 1.0

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


def serve(model: Path, host: str, port: int, max_mb: float) -> int:
    """Answer until told to end; the exit status. Port 0 is any that is free.

    Raises UserError when there is nothing to serve or nowhere to listen, and KeyboardInterrupt
    when Ctrl-C ended it.
    """
    with _bind(host, port) as listening:  # before the model, which takes longer to fail
        _keep_quiet()
        local = is_loopback(listening.getsockname()[0])
        if not local:
            print_note(
                f"warning: whoever reaches {_address(listening)} can use the model: there is no "
                "password, and nothing is encrypted"
            )
        answerer, workers = Answerer(model), Workers()
        application = build(
            answerer.answer,
            render_page(answerer.brands, max_mb),
            Uploads(round(max_mb * MEGABYTE)),
            workers,
            local=local,
        )
        try:
            ended_by = asyncio.run(_run(application, listening, model))
        finally:
            workers.stop()
    if ended_by == signal.SIGINT:
        raise KeyboardInterrupt
    return DONE


def _keep_quiet() -> None:
    """Let no library print what it makes of a request: it would quote names of photos."""
    warnings.simplefilter("ignore")  # of aiohttp, about headers
    for name in ("aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def build(
    answer: Callable[[bytes], dict[str, Any]],
    page: Page,
    uploads: Uploads,
    workers: Workers,
    *,
    local: bool,
) -> web.Application:
    """The addresses: `/`, `/predict` and `/health`. `local`: only this machine may ask."""

    async def show_page(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": page.policy}
        return web.Response(
            body=page.html, content_type="text/html", charset="utf-8", headers=headers
        )

    async def say_healthy(_request: web.Request) -> web.Response:
        return json_answer(200, {"status": "ok"})

    async def predict(request: web.Request) -> web.Response:
        check_origin(request)
        async with uploads.receive(request) as photo:
            began = time.perf_counter()
            record = await workers.run(answer, photo)
        milliseconds = round(1000 * (time.perf_counter() - began), 1)
        return json_answer(200, record | {"milliseconds": milliseconds})

    @web.middleware
    async def refuse(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if local:
                check_host(request)
            return await handler(request)
        except Refusal as refusal:
            response = json_answer(refusal.status, {"error": refusal.message})
            if isinstance(refusal, Busy):
                response.headers["Retry-After"] = "1"
            return response
        except web.HTTPException as error:
            return answer_http_error(error)
        except ConnectionError:  # the client has gone away, and aiohttp knows what to do
            raise
        except Exception as error:
            where = where_it_failed(error)
            _log.error("The server failed on a request, which is its own fault:\n%s", where)
            return json_answer(500, {"error": "The server failed; its terminal says why."})

    application = web.Application(middlewares=[refuse])
    application.add_routes(
        [
            web.get("/", show_page),
            web.get("/health", say_healthy),
            web.post("/predict", predict),
        ]
    )
    application.on_response_prepare.append(_add_headers)
    return application


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "carbrand"  # and no versions


async def _run(application: web.Application, listening: socket.socket, model: Path) -> int:
    """Listen until a signal ends it; that signal."""
    async with answering(application, listening):
        ended = _ended()
        print_line(f"Serving {model} on {_address(listening)} (Ctrl-C ends it)", flush=True)
        return await ended


@asynccontextmanager
async def answering(application: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    """Answer who connects to the socket while the block runs. Nothing of a request is logged."""
    silent = logging.getLogger(f"{__name__}.protocol")
    silent.setLevel(logging.CRITICAL)  # it would give a traceback for each garbled request
    runner = web.AppRunner(
        application,
        handler_cancellation=True,  # who has gone away needs no answer
        shutdown_timeout=LAST_ANSWERS_S,
    )
    await runner.setup()
    options: dict[str, Any] = {
        "access_log": None,
        "logger": silent,
        "auto_decompress": False,
        "keepalive_timeout": IDLE_S,
        "lingering_time": UNWANTED_S,
    }
    loop = asyncio.get_running_loop()

    def connect() -> Connection:
        assert runner.server  # since `setup`
        return Connection(
            runner.server,
            loop=loop,
            **options,
        )

    try:
        server = await loop.create_server(connect, sock=listening)
        try:
            yield
        finally:
            server.close()
    finally:
        await runner.cleanup()


def _ended() -> asyncio.Future[int]:
    """Done when a signal tells the process to end. On Windows, Ctrl-C raises by itself."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(by: int) -> None:
        if not ended.done():
            ended.set_result(by)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, end, number)
    return ended


def _bind(host: str, port: int) -> socket.socket:
    """A socket that has the port, and does not listen yet. Raises UserError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UserError(f"There is no host {host} here. Give --host an address of it.") from None
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"{host} port {port} cannot be listened on ({reason}). Give another --port or --host."
        ) from None
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
