"""origin.json, the provenance of a node's artifacts: its parameters and package versions."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"
# Packages that have another name on some platforms.
_NAMES = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


@dataclass(frozen=True)
class Origin:
    """A node's section of params.yaml, and the versions of the packages it used."""

    parameters: Mapping[str, Any]
    versions: Mapping[str, str]


def read_origin(path: Path) -> Origin:
    """Read origin.json. Raises KeyError, TypeError or ValueError if it has another form."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Origin(dict(content["parameters"]), dict(content["versions"]))


def origin_of(params: Any, packages: Sequence[str]) -> Origin:
    """The values of `params` (a dataclass), and the versions of `packages` and of Python."""
    versions = {name: version_of(name) for name in packages}
    return Origin(asdict(params), versions | {"python": platform.python_version()})


def write_origin(path: Path, params: Any, packages: Sequence[str]) -> None:
    """Write origin.json."""
    origin = asdict(origin_of(params, packages))
    text = json.dumps(origin, indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def version_of(package: str) -> str:
    """The installed version, or UNKNOWN if the package is not installed."""
    for name in _NAMES.get(package, (package,)):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return UNKNOWN
