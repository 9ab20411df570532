"""A YAML file in which Git left a conflict: what each side has, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from carbrand.dvc_yaml import parse_yaml

# Git makes them longer where a conflict lies inside another. What `|||||||` begins, the version
# that both sides come from, is shown on request alone.
_MARKER = re.compile(r"(<{7,}|\|{7,}|={7,}|>{7,})(?: (.*))?")
_ABSENT = object()


@dataclass
class _Sides:
    """The text as each side has it, and what the markers say."""

    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # by `<` and `>`
    markers: list[int] = field(default_factory=list)  # lines, from 1


def conflict_in(text: str) -> str | None:
    """What is in conflict, and how to settle it; None where Git left no markers."""
    sides = _read(text)
    if not sides.markers:
        return None
    differing = _differing(sides) or ["its two sides cannot be told apart any more"]
    lines = ("lines " if sides.markers[1:] else "line ") + ", ".join(map(str, sides.markers))
    return (
        f"Git left a conflict of a merge: {'; '.join(differing)}. Keep one of each, delete the "
        f"markers <<<<<<<, ======= and >>>>>>> ({lines})"
    )


def _read(text: str) -> _Sides:
    sides = _Sides()
    place = ""
    for number, line in enumerate(text.splitlines(), start=1):
        marker = _MARKER.fullmatch(line)
        if marker:
            sides.markers.append(number)
            kind = marker[1][0]
            sides.names.setdefault(kind, marker[2] or "")
            place = "" if kind == ">" else kind
            continue
        if place in ("", "<"):
            sides.ours.append(line)
        if place in ("", "="):
            sides.theirs.append(line)
    return sides


def _differing(sides: _Sides) -> list[str]:
    """Every key whose value differs, with both."""
    if not {"<", ">"} <= set(sides.names):
        return []
    try:
        ours, theirs = (dict(_leaves(parse_yaml("\n".join(x)))) for x in (sides.ours, sides.theirs))
    except ValueError:
        return []
    names = sides.names["<"] or "ours", sides.names[">"] or "theirs"
    found = []
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        values = ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
        if values[0] != values[1]:
            said = (f"{_show(value)} ({name})" for value, name in zip(values, names, strict=True))
            found.append(f"`{key}` is {' or '.join(said)}")
    return found or ["both sides have the same values"]


def _leaves(content: Any, parents: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _leaves(value, (*parents, str(key)))
    else:
        yield ".".join(parents), content


def _show(value: object) -> str:
    if value is _ABSENT:
        return "not there"
    return "a list" if isinstance(value, list) else str(value)
