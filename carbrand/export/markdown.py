"""Markdown: tables, and names that are shown as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from carbrand.node.wording import one_line


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table with a head."""
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """Names of folders and files such that Markdown sees nothing but letters in them."""
    return "".join(
        f"\\{letter}" if letter in "\\`*_{}[]<>#|!" else letter for letter in one_line(text)
    )
