"""Who may ask: a server on one's own machine is still within reach of every page one visits."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from carbrand.serve.refusal import Refusal

# For every answer. The page adds a policy of its own.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine goes by that name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def check_host(request: web.Request) -> None:
    """Raise Refusal unless this machine was asked for by a name that is its own.

    Against DNS rebinding: another site's name that has come to mean 127.0.0.1.
    """
    if not is_loopback(_name(request.headers.get("Host", ""))):
        raise Refusal(403, "This server answers to localhost only. Open it under that name.")


def check_origin(request: web.Request) -> None:
    """Raise Refusal when a browser asks for another site's page, and says so."""
    origin = request.headers.get("Origin")
    # `//host:port` of either: beyond a proxy that speaks HTTPS, the schemes differ.
    same = origin is None or urlsplit(origin).netloc.lower() == _asked(request)
    if not same or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise Refusal(403, "Another site may not send photos here. Open this server's own page.")


def _asked(request: web.Request) -> str:
    return request.headers.get("Host", "").lower()


def _name(host: str) -> str:
    """The host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
