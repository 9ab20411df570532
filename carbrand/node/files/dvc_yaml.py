"""YAML as DVC reads it: params.yaml, dvc.yaml, dvc.lock and .dvc files.

DVC parses YAML 1.2 with ruamel.yaml. A YAML 1.1 parser reads `1e-05` as a string and `0100` as 64,
so dvc.lock would record other values than those used.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

# Raised by ruamel.yaml, besides its own errors, for `2024-13-45`, `+_` or `!!bool x`.
_IMPOSSIBLE_VALUE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)


class NotYaml(ValueError):
    """Not valid YAML.

    line: where, counted from 1, or None. reason: what is wrong and how to fix it, or empty.
    """

    def __init__(self, line: int | None = None, reason: str = "") -> None:
        super().__init__(reason or (f"line {line}" if line else "no text that DVC could read"))
        self.line = line
        self.reason = reason


def parse_yaml(text: str) -> Any:
    """Parse a text; an empty one is None. Raises NotYaml."""
    try:
        return YAML(typ="safe").load(text)
    except DuplicateKeyError as error:
        raise _duplicate(text, error) from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        # The mark at the end of a text without a final newline is one line too far.
        lines = len(text.splitlines()) or 1
        raise NotYaml(min(mark.line + 1, lines) if mark else None) from None
    except _IMPOSSIBLE_VALUE:
        raise _impossible(text) from None


def _duplicate(text: str, error: DuplicateKeyError) -> NotYaml:
    start = error.problem_mark.index
    path, again, mapping = next(
        (path, key, mapping)
        for path, mapping in _walk(YAML(typ="safe").compose(text))
        if isinstance(mapping, MappingNode)
        for key, _ in mapping.value
        if key.start_mark.index == start
    )
    same = [(key, value) for key, value in mapping.value if _value_of(key) == _value_of(again)]
    values = " and ".join(
        f"`{_shorten(value)}` (line {_line(key)})"
        if isinstance(value, ScalarNode)
        else f"line {_line(key)}"
        for key, value in same
    )
    name = _join(path, again)
    return NotYaml(_line(again), f"`{name}` is defined {len(same)} times: {values}. Keep one")


def _impossible(text: str) -> NotYaml:
    """Find the scalar that cannot be parsed."""
    for path, node in _walk(YAML(typ="safe").compose(text)):
        if isinstance(node, ScalarNode) and not _is_possible(node):
            return NotYaml(
                _line(node),
                f"`{path}: {_shorten(node)}` (line {_line(node)}) looks like a number or a date, "
                f"but is not valid. Fix it, or put it in quotes",
            )
    return NotYaml()


def _is_possible(node: ScalarNode) -> bool:
    try:
        YAML(typ="safe").constructor.construct_object(node)
    except _IMPOSSIBLE_VALUE:
        return False
    except YAMLError:  # `<<`, a merge key
        pass
    return True


def _value_of(key: Node) -> Any:
    """The parsed value of a key: `1` and `0x1` are the same key."""
    try:
        return YAML(typ="safe").constructor.construct_object(key, deep=True)
    except (YAMLError, *_IMPOSSIBLE_VALUE):
        return key.value


def _walk(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield every node with its path, such as `train.l2`, in document order.

    A key has the path of its value. An anchored node is yielded once.
    """
    seen: set[int] = set()
    waiting: list[tuple[str, Node]] = [("", root)]
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield path, node
        if isinstance(node, MappingNode):
            inside = [
                (_join(path, key), part) for key, value in node.value for part in (key, value)
            ]
        elif isinstance(node, SequenceNode):
            inside = [(f"{path}[{place}]", item) for place, item in enumerate(node.value)]
        else:
            continue
        waiting += reversed(inside)


def _join(path: str, key: Node) -> str:
    name = _shorten(key) if isinstance(key, ScalarNode) else "…"
    return f"{path}.{name}" if path else name


def _shorten(node: ScalarNode) -> str:
    return textwrap.shorten(node.value, 60, placeholder="…")


def _line(node: Node) -> int:
    """The line on which it begins, counted from 1."""
    return int(node.start_mark.line) + 1
