"""The page: a self-contained HTML file, and its Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

_HERE = Path(__file__).parent
# The report's style, and the page's own.
_STYLES = (_HERE.parent / "report" / "templates" / "style.css", _HERE / "page.css")
_SCRIPT = _HERE / "page.js"


@dataclass(frozen=True)
class Page:
    """The page in UTF-8, and its Content-Security-Policy."""

    html: bytes
    policy: str


def render_page(
    brands: Sequence[str], max_mb: float, level: float = 0.0, tells_unknown: bool = False
) -> Page:
    """The page for a model of these brands and photos of at most `max_mb` megabytes.

    level: the promised chance that a set holds the right brand; 0 where there are no sets.
    tells_unknown: whether the model can say that a photo shows none of the brands.
    """
    style = "".join(path.read_text("utf-8") for path in _STYLES)
    script = _SCRIPT.read_text("utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.j2").render(
        brands=brands,
        max_mb=max_mb,
        level=level,
        tells_unknown=tells_unknown,
        style=Markup(style),
        script=Markup(script),
    )
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "img-src data: blob:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Page(html.encode("utf-8", errors="replace"), policy)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
