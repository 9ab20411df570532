"""origin.json: what made the artifacts of a node, so that a report can say it."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"
# One package under several names on the index, depending on the machine.
_NAMES = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


@dataclass(frozen=True)
class Origin:
    """What made the artifacts of a node: its section of params.yaml, and versions by package."""

    parameters: Mapping[str, Any]
    versions: Mapping[str, str]


def read_origin(path: Path) -> Origin:
    """What `write_origin` wrote. Raises KeyError, TypeError or ValueError for something else."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Origin(dict(content["parameters"]), dict(content["versions"]))


def origin_of(params: Any, packages: Sequence[str]) -> Origin:
    """That of `params`, a dataclass, with the versions of `packages` and of Python."""
    versions = {name: version_of(name) for name in packages}
    return Origin(asdict(params), versions | {"python": platform.python_version()})


def write_origin(path: Path, params: Any, packages: Sequence[str]) -> None:
    """Write it as JSON."""
    origin = asdict(origin_of(params, packages))
    text = json.dumps(origin, indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def version_of(package: str) -> str:
    """The installed version, or "unknown" where Python runs from a source tree."""
    for name in _NAMES.get(package, (package,)):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return UNKNOWN
