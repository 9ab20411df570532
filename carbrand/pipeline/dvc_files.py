"""dvc.yaml and .dvc files: what nodes read and write, and what DVC tracks that Git does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import is_inside
from carbrand.node.files.dvc_yaml import parse_yaml
from carbrand.node.files.merge_conflict import describe_conflict
from carbrand.node.params import read_file

DVC_YAML = "dvc.yaml"
DVC_LOCK = "dvc.lock"
PARAMS = "params.yaml"
_KINDS_OF_OUTPUTS = ("outs", "metrics", "plots")
_AS_COMMITTED = f"Mend it, or `git checkout HEAD -- {DVC_YAML}`."


@dataclass(frozen=True)
class Output:
    """A path that a node writes. What DVC does not keep in its cache, Git keeps."""

    node: str
    path: Path
    cached: bool


def read_nodes(project: Path = Path()) -> dict[str, Any]:
    """The nodes of dvc.yaml by name. Raises UserError where their outputs cannot be known."""
    path = project / DVC_YAML
    try:
        content = parse_yaml(path.read_text("utf-8"))
    except (OSError, ValueError):
        content = read_file(path)  # raises UserError with the reason
    nodes = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(nodes, dict):
        raise UserError(f"{DVC_YAML} has no nodes under `stages`. {_AS_COMMITTED}")
    problems = [
        f"{DVC_YAML}: DVC could not run the node `{name}`. {_AS_COMMITTED}"
        for name, node in nodes.items()
        if not _is_node(node)
    ]
    if problems:
        raise UserError(*problems)
    return nodes


def read_outputs(project: Path = Path()) -> list[Output]:
    """Everything that the nodes of dvc.yaml write. Raises UserError where that cannot be known."""
    return [
        Output(name, Path(path), options.get("cache", True))
        for name, node in read_nodes(project).items()
        for kind in _KINDS_OF_OUTPUTS
        for path, options in _entries(node.get(kind, []))
    ]


def read_inputs(project: Path) -> list[str]:
    """What nodes of dvc.yaml read and none of them writes, dvc.yaml itself and files of params."""
    written = [output.path.as_posix() for output in read_outputs(project)]
    nodes = read_nodes(project).values()
    read = {path for node in nodes for path, _ in _entries(node.get("deps") or [])}
    params = {path for node in nodes for path, keys in _entries(node.get("params") or []) if keys}
    inputs = {path for path in read if not is_inside(path, written)}
    return sorted(inputs | params | {DVC_YAML, PARAMS})


def read_dvc_file(path: Path) -> dict[str, Any]:
    """The content of a .dvc file. Raises UserError where it is none that DVC wrote."""
    try:
        text = path.read_text("utf-8")
        conflict = describe_conflict(text)
        if conflict:
            raise UserError(f"{path}: {conflict}, then `git add {path}`.")
        content = parse_yaml(text)
    except ValueError:
        raise UserError(f"{path} is damaged. `git checkout HEAD -- {path}` gets it back.") from None
    return content if isinstance(content, dict) else {}


def tracked_hash(path: Path) -> str | None:
    """The hash of the file or folder that a .dvc file tracks; None where there is no such file."""
    if not path.is_file():
        return None
    outs = read_dvc_file(path).get("outs")
    return str(outs[0].get("md5")) if isinstance(outs, list) and len(outs) == 1 else None


def _is_node(node: Any) -> bool:
    """Whether its outputs are written in a way that `_entries` can read."""
    return isinstance(node, dict) and all(
        isinstance(node.get(kind, []), list) and all(map(_is_entry, node.get(kind, [])))
        for kind in _KINDS_OF_OUTPUTS
    )


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, str) or (
        isinstance(entry, dict)
        and all(isinstance(path, str) for path in entry)
        and all(options is None or isinstance(options, dict) for options in entry.values())
    )


def _entries(entries: Sequence[str | dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """DVC writes a path as `path`, or as `path: {option: …}`."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry, {}
        else:
            yield from ((path, options or {}) for path, options in entry.items())
