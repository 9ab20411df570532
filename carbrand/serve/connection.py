"""A connection: what a client gets that speaks no proper HTTP, and what is never said of requests.

Names of photos are in headers and addresses, and what aiohttp says of an error quotes those.
"""

from __future__ import annotations

import json
import traceback
from typing import Any

from aiohttp import web

from carbrand.serve.guard import HEADERS

_GARBLED = "This is no HTTP request that can be read. POST a photo to /predict, or GET /."


class Connection(web.RequestHandler):
    """Answers also what cannot be parsed in JSON, and quotes nothing of it."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 — quotes the request, as `message` does
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The answer to a request that got to no handler; the connection is closed after it."""
        if request.writer.output_size:
            raise ConnectionError("an answer has begun already")
        response = json_answer(status, {"error": _GARBLED})
        response.headers.update(HEADERS)
        response.headers["Server"] = "carbrand"
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; where aiohttp itself gives one, in our words."""
        if isinstance(resp, web.HTTPException):
            resp = answer_http_error(resp)
        return await super().finish_response(request, resp, start_time)


def answer_http_error(error: web.HTTPException) -> web.Response:
    """What aiohttp says of an address, a method or a header, without quoting it."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = json_answer(405, {"error": f"That is not possible here, but {allowed} is."})
        response.headers["Allow"] = allowed
        return response
    if error.status == 404:
        words = "There is nothing here. POST a photo to /predict, or GET /."
        return json_answer(404, {"error": words})
    return json_answer(error.status, {"error": f"{error.reason}."})


def json_answer(status: int, content: dict[str, Any]) -> web.Response:
    """An answer in JSON."""
    text = json.dumps(content, indent=2) + "\n"
    return web.Response(status=status, text=text, content_type="application/json")


def where_it_failed(error: BaseException) -> str:
    """A traceback without the messages of the errors: they may quote what a client sent."""
    parts: list[str] = []
    earlier: BaseException | None = error
    while earlier:
        frames = "".join(traceback.format_tb(earlier.__traceback__))
        parts.insert(0, f"{frames}{type(earlier).__name__}")
        earlier = earlier.__cause__ or earlier.__context__
    return "\n".join(parts)
