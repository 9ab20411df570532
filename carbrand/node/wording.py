"""Formatting of numbers, codes and names for every figure, page and message."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Between a number and its unit.
NO_BREAK = "\N{NO-BREAK SPACE}"
ELLIPSIS = "…"


def percent(share: float) -> str:
    """A share in 0…1 with one decimal, as `89.5 %`."""
    return f"{100 * share:.1f}{NO_BREAK}%"


def percent_range(low: float, high: float) -> str:
    """Two shares in 0…1, as `75.9–95.8 %`."""
    return f"{100 * low:.1f}–{percent(high)}"


def number(value: float) -> str:
    """A whole number with thousands separators; any other with four significant digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def count(how_many: int, noun: str, nouns: str = "") -> str:
    """`1 photo`, `2,000 photos`. nouns: the plural, by default with an `s`."""
    return f"{how_many:,}{NO_BREAK}{noun if how_many == 1 else nouns or f'{noun}s'}"


def plain_count(how_many: int, noun: str) -> str:
    """`count` for terminals and plain text, which break no lines by themselves."""
    return count(how_many, noun).replace(NO_BREAK, " ")


def first_few(names: Sequence[str], most: int) -> str:
    """`audi, bmw and 3 more`: at most `most` of the names."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def humanise(code: str) -> str:
    """`wrong_extension` as `Wrong extension`."""
    words = code.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def join_names(names: Sequence[str]) -> str:
    """`a, b and c`, of at least two names."""
    return f"{', '.join(names[:-1])} and {names[-1]}"


def one_line(name: str) -> str:
    """A file or brand name on one line: controls and line breaks become spaces."""
    return " ".join("".join(map(_drawable, name)).split()) or "(no name)"


def _drawable(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind == "Cs":  # a lone surrogate: a byte that is not valid UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    return " " if kind[0] in "CZ" else letter


def shorten(name: str, most: int) -> str:
    """`name` in at most `most` columns, its middle replaced by `…`.

    The middle, because names of files and models mostly differ at either end.
    """
    if columns(name) <= most:
        return name
    tail = _prefix(name[::-1], (most - 1) // 2)[::-1]
    return _prefix(name, most - 1 - columns(tail)) + ELLIPSIS + tail


def _prefix(name: str, most: int) -> str:
    kept = ""
    for letter in name:
        if columns(kept + letter) > most:
            break
        kept += letter
    return kept


def columns(name: str) -> int:
    """The width of a name in columns; a CJK letter takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name)
