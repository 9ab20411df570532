"""Where names may be broken into lines, and how much room they need not to be broken elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

from carbrand.node.wording import columns

# Browsers break after spaces and hyphens by themselves.
_PARTS = re.compile(r"(?<=[/_])(?=[^/_])")
_WORDS = re.compile(r"(?<=[/_\s-])")


def breakable(name: str) -> Markup:
    """The escaped name, which may be broken after `/` and `_`."""
    return Markup("<wbr>").join(map(escape, _PARTS.split(name)))


def longest(names: Iterable[str]) -> int:
    """The letters of the longest name."""
    return max(map(columns, names), default=0)


def longest_part(names: Iterable[str]) -> int:
    """The letters of the longest part that is not to be broken."""
    return longest(part.strip() for name in names for part in _WORDS.split(name))
