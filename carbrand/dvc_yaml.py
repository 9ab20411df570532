"""YAML as DVC reads it: params.yaml, dvc.yaml, dvc.lock and .dvc files.

DVC reads YAML 1.2 with ruamel.yaml. A reader of YAML 1.1 takes `1e-05` for a text and `0100` for
64, and dvc.lock would record values that nobody used.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

# What ruamel.yaml raises besides its own errors for `2024-13-45`, `+_` or `!!bool x`.
_IMPOSSIBLE_VALUE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)


class NotYaml(ValueError):
    """DVC would read nothing of it.

    reason: what is wrong and how to mend it, where the reader can say more than the line. line:
    counted from 1, or None.
    """

    def __init__(self, line: int | None = None, reason: str = "") -> None:
        super().__init__(reason or (f"line {line}" if line else "no text that DVC could read"))
        self.line = line
        self.reason = reason


class Entry(NamedTuple):
    """A key in the text, by its path such as `train.l2`, and its value."""

    path: str
    key: Node
    value: Node

    @property
    def line(self) -> int:
        """Of the key, from 1."""
        return int(self.key.start_mark.line) + 1


def parse_yaml(text: str) -> Any:
    """What DVC makes of a text, None of an empty one. Raises NotYaml."""
    try:
        return YAML(typ="safe").load(text)
    except DuplicateKeyError as error:
        raise _duplicate(text, error) from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        # The end of a text without a last newline counts as another line.
        lines = len(text.splitlines()) or 1
        raise NotYaml(min(mark.line + 1, lines) if mark else None) from None
    except _IMPOSSIBLE_VALUE:
        raise _impossible(text) from None


def _duplicate(text: str, error: DuplicateKeyError) -> NotYaml:
    entries = list(_entries(YAML(typ="safe").compose(text)))
    start = error.problem_mark.index
    path, line = next((e.path, e.line) for e in entries if e.key.start_mark.index == start)
    same = [entry for entry in entries if entry.path == path]
    values = " and ".join(
        f"`{entry.value.value}` (line {entry.line})"
        if isinstance(entry.value, ScalarNode)
        else f"line {entry.line}"
        for entry in same
    )
    return NotYaml(line, f"`{path}` is there {len(same)} times: {values}. Keep one")


def _impossible(text: str) -> NotYaml:
    """Which value it is of which the reader makes nothing."""
    for entry in _entries(YAML(typ="safe").compose(text)):
        if isinstance(entry.value, ScalarNode) and not _is_possible(entry.value):
            value = textwrap.shorten(entry.value.value, 60, placeholder="…")
            return NotYaml(
                entry.line,
                f"`{entry.path}: {value}` (line {entry.line}) looks like a number or a date, and "
                f"is none. Mend it, or put it in quotes",
            )
    return NotYaml()


def _is_possible(node: ScalarNode) -> bool:
    try:
        YAML(typ="safe").constructor.construct_object(node)
    except _IMPOSSIBLE_VALUE:
        return False
    return True


def _entries(root: Node) -> Iterator[Entry]:
    """Every key of mappings in mappings; what an anchor holds, once."""
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], Node]] = [((), root)]
    while waiting:
        parents, node = waiting.pop()
        if not isinstance(node, MappingNode) or id(node) in seen:
            continue
        seen.add(id(node))
        for key, value in node.value:
            path = (*parents, str(key.value))
            yield Entry(".".join(path), key, value)
            waiting.append((path, value))
