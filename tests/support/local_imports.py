"""Which of the project's own modules a module imports, directly or not, also inside functions."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.conftest import ROOT


def local_imports(module: Path) -> set[str]:
    """Paths relative to the project's root, `module` included, packages' `__init__` left out.

    Those hold a docstring and nothing else, which the wiring test makes sure of.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(ROOT).as_posix()
        if name not in found:
            found.add(name)
            waiting += [file for dotted in _imported(path) if (file := _file_of(dotted))]
    return found


@cache
def _imported(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@cache
def _file_of(dotted: str) -> Path | None:
    file = ROOT / (dotted.replace(".", "/") + ".py")
    return file if file.is_file() else None
