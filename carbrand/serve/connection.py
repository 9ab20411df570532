"""Responses to malformed requests and HTTP errors, without quoting requests.

aiohttp's own messages quote headers and URLs, which may have names of photos.
"""

from __future__ import annotations

import json
import traceback
from typing import Any

from aiohttp import web

from carbrand.serve.guard import HEADERS

_MALFORMED = "This is not a valid HTTP request. POST a photo to /predict, or GET /."


class Connection(web.RequestHandler):
    """Responds in JSON also to requests that cannot be parsed, without quoting them."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 — quotes the request, as `message` does
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The response to a request that reached no handler; the connection is closed after it."""
        if request.writer.output_size:
            raise ConnectionError("a response was sent already")
        response = json_response(status, {"error": _MALFORMED})
        response.headers.update(HEADERS)
        response.headers["Server"] = "carbrand"
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response; those of aiohttp itself in our words."""
        if isinstance(resp, web.HTTPException):
            resp = http_error_response(resp)
        return await super().finish_response(request, resp, start_time)


def http_error_response(error: web.HTTPException) -> web.Response:
    """The response to an unknown URL, a wrong method or a wrong header, without quoting it."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = json_response(405, {"error": f"Method not allowed. Use {allowed}."})
        response.headers["Allow"] = allowed
        return response
    if error.status == 404:
        message = "Not found. POST a photo to /predict, or GET /."
        return json_response(404, {"error": message})
    return json_response(error.status, {"error": f"{error.reason}."})


def json_response(status: int, content: dict[str, Any]) -> web.Response:
    """A JSON response."""
    text = json.dumps(content, indent=2) + "\n"
    return web.Response(status=status, text=text, content_type="application/json")


def format_traceback(error: BaseException) -> str:
    """A traceback without the errors' messages, which may quote a request."""
    parts: list[str] = []
    current: BaseException | None = error
    while current:
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.insert(0, f"{frames}{type(current).__name__}")
        current = current.__cause__ or current.__context__
    return "\n".join(parts)
