"""Access checks: web pages of other sites can reach a server on the user's machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from carbrand.serve.refusal import Refusal

# Of every response. The page has a policy of its own.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_loopback(host: str) -> bool:
    """Whether it is a name or address of this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def check_host(request: web.Request) -> None:
    """Raise Refusal unless the Host header is a loopback name, against DNS rebinding."""
    if not is_loopback(_name(request.headers.get("Host", ""))):
        raise Refusal(403, "This server accepts requests to localhost only. Use that name.")


def check_origin(request: web.Request) -> None:
    """Raise Refusal if a browser sends the request for a page of another site."""
    origin = request.headers.get("Origin")
    # Without the scheme, which differs behind a proxy for HTTPS.
    same = origin is None or urlsplit(origin).netloc.lower() == _host_header(request)
    if not same or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise Refusal(403, "Another site may not send photos here. Open this server's own page.")


def _host_header(request: web.Request) -> str:
    return request.headers.get("Host", "").lower()


def _name(host: str) -> str:
    """The host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
