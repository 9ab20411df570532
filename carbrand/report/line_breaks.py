"""Where names may break into lines in HTML, and the width they need to break only there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

from carbrand.node.wording import columns

# Browsers break after spaces and hyphens by themselves.
_PARTS = re.compile(r"(?<=[/_])(?=[^/_])")
_WORDS = re.compile(r"(?<=[/_\s-])")


def breakable(name: str) -> Markup:
    """The name, escaped, with a line break allowed after each `/` and `_`."""
    return Markup("<wbr>").join(map(escape, _PARTS.split(name)))


def longest(names: Iterable[str]) -> int:
    """The width of the longest name, in letters."""
    return max(map(columns, names), default=0)


def longest_part(names: Iterable[str]) -> int:
    """The width of the longest part that should not break, in letters."""
    return longest(part.strip() for name in names for part in _WORDS.split(name))
