"""The server: its routes, startup and shutdown."""

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

from carbrand.model.observation import hash_model
from carbrand.node.errors import DONE, UserError
from carbrand.node.terminal import print_line, print_note
from carbrand.serve.api_description import describe_api
from carbrand.serve.connection import (
    Connection,
    format_traceback,
    http_error_response,
    json_response,
)
from carbrand.serve.guard import HEADERS, check_host, check_origin, is_loopback
from carbrand.serve.photo_log import PhotoLog
from carbrand.serve.refusal import Busy, Refusal
from carbrand.serve.responder import Responder
from carbrand.serve.start_page import Page, render_page
from carbrand.serve.upload import MEGABYTE, Uploads
from carbrand.serve.workers import Workers

# Idle connections are closed after IDLE_S, those with a refused upload after UNWANTED_S.
IDLE_S, UNWANTED_S = 20.0, 5.0
# Requests in progress at shutdown may take so long.
SHUTDOWN_S = 1.0

# Of the model's SHA-256, in answers.
_DIGITS = 12

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


def serve(model: Path, host: str, port: int, max_mb: float, log: Path | None = None) -> int:
    """Serve until a signal; the exit status. Port 0 is any free port. log: a folder.

    Raises UserError if the model, the address or the log cannot be used, and KeyboardInterrupt on
    Ctrl-C.
    """
    with _bind(host, port) as listening:  # before the model, which takes longer to fail
        _silence_logs()
        local = is_loopback(listening.getsockname()[0])
        if not local:
            print_note(
                f"warning: anyone who can reach {_address(listening)} can use the model: there is "
                "no password and no encryption"
            )
        digest = hash_model(model)
        photo_log = PhotoLog(log, digest) if log else None
        responder, workers = Responder(model, photo_log), Workers()
        application = build_application(
            responder.respond,
            render_page(responder.brands, max_mb, responder.level, responder.tells_unknown),
            Uploads(round(max_mb * MEGABYTE)),
            workers,
            f"sha256:{digest[:_DIGITS]}",
            local=local,
        )
        try:
            received = asyncio.run(_run(application, listening, model))
        finally:
            workers.stop()
    if received == signal.SIGINT:
        raise KeyboardInterrupt
    return DONE


def _silence_logs() -> None:
    """Silence library logs, which would quote requests with names of photos."""
    warnings.simplefilter("ignore")  # of aiohttp, about headers
    for name in ("aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def build_application(
    respond: Callable[[bytes, bool], dict[str, Any]],
    page: Page,
    uploads: Uploads,
    workers: Workers,
    model: str,
    *,
    local: bool,
) -> web.Application:
    """The routes `/`, `/predict`, `/health` and `/openapi.json`.

    model: what every answer says of the model. local: only this machine may send requests.
    """

    async def show_page(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": page.policy}
        return web.Response(
            body=page.html, content_type="text/html", charset="utf-8", headers=headers
        )

    async def show_health(_request: web.Request) -> web.Response:
        return json_response(200, {"status": "ok", "model": model})

    async def show_description(_request: web.Request) -> web.Response:
        return json_response(200, describe_api())

    async def predict(request: web.Request) -> web.Response:
        check_origin(request)
        wants_heatmap = _flag(request, "heatmap")
        async with uploads.receive(request) as photos:
            began = time.perf_counter()
            if len(photos) == 1:
                record = await workers.run(respond, photos[0], wants_heatmap)
            else:
                record = {"predictions": await _respond_to_each(photos, wants_heatmap)}
        milliseconds = round(1000 * (time.perf_counter() - began), 1)
        return json_response(200, record | {"milliseconds": milliseconds, "model": model})

    async def _respond_to_each(photos: list[bytes], heatmap: bool) -> list[dict[str, Any]]:
        """In their order, as many at once as there are threads: others have their turn between.

        Raises Refusal where none of them can be answered.
        """
        answers: list[dict[str, Any] | Refusal] = []
        for first in range(0, len(photos), workers.threads):
            some = photos[first : first + workers.threads]
            answers += await asyncio.gather(*(_respond_to(photo, heatmap) for photo in some))
        if isinstance(answers[0], Refusal) and all(isinstance(it, Refusal) for it in answers):
            raise answers[0]
        return [{"error": it.message} if isinstance(it, Refusal) else it for it in answers]

    async def _respond_to(photo: bytes, heatmap: bool) -> dict[str, Any] | Refusal:
        try:
            return await workers.run(respond, photo, heatmap)
        except Busy:
            raise
        except Refusal as refusal:
            return refusal

    @web.middleware
    async def refuse(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if local:
                check_host(request)
            return await handler(request)
        except Refusal as refusal:
            response = json_response(refusal.status, {"error": refusal.message})
            if isinstance(refusal, Busy):
                response.headers["Retry-After"] = "1"
            return response
        except web.HTTPException as error:
            return http_error_response(error)
        except ConnectionError:  # the client has disconnected, which aiohttp handles
            raise
        except Exception as error:
            trace = format_traceback(error)
            _log.error("Internal error while handling a request:\n%s", trace)
            return json_response(500, {"error": "Internal error; see the terminal of the server."})

    application = web.Application(middlewares=[refuse])
    application.add_routes(
        [
            web.get("/", show_page),
            web.get("/health", show_health),
            web.get("/openapi.json", show_description),
            web.post("/predict", predict),
        ]
    )
    application.on_response_prepare.append(_add_headers)
    return application


def _flag(request: web.Request, name: str) -> bool:
    """A parameter of the address, true where it is missing. Raises Refusal."""
    value = request.query.get(name, "true")
    if value not in ("true", "false"):
        raise Refusal(400, f"`{name}` must be true or false.")
    return value == "true"


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "carbrand"  # without versions


async def _run(application: web.Application, listening: socket.socket, model: Path) -> int:
    """Serve until a signal; returns the signal."""
    async with serving(application, listening):
        stopped = _on_signal()
        print_line(f"Serving {model} on {_address(listening)} (press Ctrl-C to stop)", flush=True)
        return await stopped


@asynccontextmanager
async def serving(application: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    """Accept connections on the socket while the block runs. No request is logged."""
    silent = logging.getLogger(f"{__name__}.protocol")
    silent.setLevel(logging.CRITICAL)  # it logs a traceback for each malformed request
    runner = web.AppRunner(
        application,
        handler_cancellation=True,  # disconnected clients need no response
        shutdown_timeout=SHUTDOWN_S,
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
        assert runner.server  # set by `setup`
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


def _on_signal() -> asyncio.Future[int]:
    """A future of the signal that stops the process. On Windows, Ctrl-C raises by itself."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[int] = loop.create_future()

    def receive(number: int) -> None:
        if not received.done():
            received.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, receive, number)
    return received


def _bind(host: str, port: int) -> socket.socket:
    """A socket bound to the port, not listening yet. Raises UserError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UserError(f"{host} is not an address of this machine. Give another --host.") from None
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # where it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"Cannot listen on {host} port {port} ({reason}). Give another --port or --host."
        ) from None
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
