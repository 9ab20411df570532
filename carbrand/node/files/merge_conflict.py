"""Describes a merge conflict in a YAML file: the keys that differ, with both values."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from carbrand.node.files.dvc_yaml import parse_yaml

# Git writes longer markers for nested conflicts, and the common ancestor (after `|||||||`) only if
# merge.conflictStyle is diff3.
_MARKER = re.compile(r"(<{7,}|\|{7,}|={7,}|>{7,})(?: (.*))?")
_LINE_END = re.compile(r"\r\n|\r|\n")
_ABSENT = object()
_MOST_KEYS = 5


@dataclass
class _Sides:
    """The text of each side, and the names and lines of the conflict markers."""

    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # by `<` and `>`
    markers: list[int] = field(default_factory=list)  # lines, from 1


def describe_conflict(text: str) -> str | None:
    """What is in conflict and how to resolve it; None if there are no conflict markers."""
    sides = _read(text)
    if not sides.markers:
        return None
    differing = _differing(sides) or ["its two sides can no longer be separated"]
    more = len(differing) - _MOST_KEYS
    differing[_MOST_KEYS:] = [f"{more} more"] if more > 0 else []
    base = " and all from ||||||| to =======" if "|" in sides.names else ""
    lines = ("lines " if sides.markers[1:] else "line ") + ", ".join(map(str, sides.markers))
    return (
        f"Git left a conflict of a merge: {'; '.join(differing)}. Keep one of each, delete the "
        f"markers <<<<<<<, ======= and >>>>>>>{base} ({lines})"
    )


def _read(text: str) -> _Sides:
    sides = _Sides()
    place, width = "", 0
    for number, line in enumerate(_LINE_END.split(text), start=1):
        marker = _MARKER.fullmatch(line)
        if marker:
            sides.markers.append(number)
        # Markers of another length belong to an earlier conflict in the common ancestor.
        if marker and (not place or len(marker[1]) == width):
            kind, width = marker[1][0], len(marker[1])
            sides.names.setdefault(kind, marker[2] or "")
            place = "" if kind == ">" else kind
        elif not marker:
            if place in ("", "<"):
                sides.ours.append(line)
            if place in ("", "="):
                sides.theirs.append(line)
    return sides


def _differing(sides: _Sides) -> list[str]:
    """Every key whose value differs, with both values."""
    if not {"<", ">"} <= set(sides.names):
        return []
    try:
        ours = dict(_leaves(parse_yaml("\n".join(sides.ours)) or {}))
        theirs = dict(_leaves(parse_yaml("\n".join(sides.theirs)) or {}))
    except ValueError:
        return []
    names = sides.names["<"] or "ours", sides.names[">"] or "theirs"
    found = []
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        values = ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
        if values[0] != values[1] or type(values[0]) is not type(values[1]):
            shown = (f"{_show(value)} ({name})" for value, name in zip(values, names, strict=True))
            found.append(f"`{key}` is {' or '.join(shown)}")
    return found or ["both sides have the same values"]


def _leaves(content: Any, parents: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield all scalars (and empty collections) with their path; list indices count from 0."""
    if isinstance(content, (dict, list)) and content:
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _leaves(value, (*parents, str(key)))
    elif parents:
        yield ".".join(parents), content


def _show(value: object) -> str:
    if value is _ABSENT:
        return "missing"
    plain = isinstance(value, str) and _is_plain(value)
    text = str(value) if plain else json.dumps(value, ensure_ascii=False, default=str)
    return textwrap.shorten(text, 60, placeholder="…")


def _is_plain(text: str) -> bool:
    """Whether YAML reads the text as the same string without quotes."""
    try:
        return "\n" not in text and bool(parse_yaml(text) == text)
    except ValueError:
        return False
