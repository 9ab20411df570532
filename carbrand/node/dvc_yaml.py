"""YAML as DVC reads it: params.yaml, dvc.yaml, dvc.lock and .dvc files.

DVC reads YAML 1.2 with ruamel.yaml. A reader of YAML 1.1 takes `1e-05` for a text and `0100` for
64, and dvc.lock would record values that nobody used.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

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
    return NotYaml(_line(again), f"`{name}` is there {len(same)} times: {values}. Keep one")


def _impossible(text: str) -> NotYaml:
    """Which value it is of which the reader makes nothing."""
    for path, node in _walk(YAML(typ="safe").compose(text)):
        if isinstance(node, ScalarNode) and not _is_possible(node):
            return NotYaml(
                _line(node),
                f"`{path}: {_shorten(node)}` (line {_line(node)}) looks like a number or a date, "
                f"and is none. Mend it, or put it in quotes",
            )
    return NotYaml()


def _is_possible(node: ScalarNode) -> bool:
    try:
        YAML(typ="safe").constructor.construct_object(node)
    except _IMPOSSIBLE_VALUE:
        return False
    except YAMLError:  # `<<`, which is a value of its own kind
        pass
    return True


def _value_of(key: Node) -> Any:
    """What the reader makes of a key: `1` and `0x1` are the same one."""
    try:
        return YAML(typ="safe").constructor.construct_object(key, deep=True)
    except (YAMLError, *_IMPOSSIBLE_VALUE):
        return key.value


def _walk(root: Node) -> Iterator[tuple[str, Node]]:
    """Every node with its path, such as `train.l2`, in the order of the text.

    Keys go by the path of their value. What an anchor holds comes once.
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
    """Where it begins, from 1."""
    return int(node.start_mark.line) + 1
