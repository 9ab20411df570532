"""dvc.lock: the command, parameters, and hashes of inputs and outputs of each node's last run.

A file belongs to a run only if its hash is the one in dvc.lock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.files.dvc_yaml import parse_yaml
from carbrand.node.files.metrics_file import flatten

_ABSENT = object()
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class InvalidDvcLock(ValueError):
    """DVC would refuse this dvc.lock."""


def parse_dvc_lock(data: bytes) -> dict[str, Any]:
    """Parse the bytes of a dvc.lock. Raises InvalidDvcLock where DVC would refuse it."""
    try:
        content = parse_yaml(data.decode("utf-8"))
    except ValueError:
        raise InvalidDvcLock from None
    if not _has_expected_schema(content):
        parse_with_dvc(data)
    if not isinstance(content, dict):
        raise InvalidDvcLock
    return content


def changed_params(recorded: Mapping[str, Any], content: Mapping[str, Any]) -> list[str]:
    """The dotted keys, such as `train.l2`, that differ from what a node ran with, sorted.

    recorded: of dvc.lock, sections and single keys. content: of params.yaml now.
    """
    ran_with = dict(flatten(recorded))
    now = {
        key: value
        for key, value in flatten(content)
        if any(key == name or key.startswith(f"{name}.") for name in recorded)
    }
    return sorted(
        key
        for key in ran_with.keys() | now.keys()
        if ran_with.get(key, _ABSENT) != now.get(key, _ABSENT)
    )


def is_inside(path: str, places: Iterable[str]) -> bool:
    """Whether a path, with forward slashes, is one of `places` or lies inside one of them."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


class StaleFile(ValueError):
    """A file differs from the one in dvc.lock. The message is the reason, as half a sentence."""


@dataclass(frozen=True)
class DvcLock:
    """The nodes of a dvc.lock by name; empty if it is missing or invalid."""

    nodes: Mapping[str, Any]

    @classmethod
    def parse(cls, content: bytes | None) -> DvcLock:
        """Parse the bytes of a dvc.lock. A missing (None) or invalid one has no nodes."""
        try:
            return cls.parse_strictly(content) if content else cls({})
        except InvalidDvcLock:
            return cls({})

    @classmethod
    def parse_strictly(cls, content: bytes) -> DvcLock:
        """Parse the bytes of a dvc.lock. Raises InvalidDvcLock."""
        return cls(parse_dvc_lock(content).get("stages") or {})

    @classmethod
    def read(cls, path: Path) -> DvcLock:
        """Parse a file, which may be missing."""
        return cls.parse(path.read_bytes() if path.is_file() else None)

    def output_md5(self, path: str) -> str | None:
        """The MD5 of a file that a node wrote, or None."""
        return _hash(self._entry(path, "outs"))

    def md5(self, path: str) -> str | None:
        """The MD5 of a file that a node wrote or read, or None."""
        return _hash(self._any_entry(path))

    def outputs(self) -> dict[str, dict[str, Any]]:
        """The MD5 of each output, by node and path."""
        return {
            name: {entry["path"]: entry.get("md5") for entry in node.get("outs", ())}
            for name, node in self.nodes.items()
        }

    def dependency_hash(self, node: str, path: str) -> str | None:
        """The hash of the dependency `path` of a node, or None if it has no such dependency."""
        deps = self.nodes.get(node, {}).get("deps", ())
        entry = next((dep for dep in deps if dep["path"] == path), None)
        return str(entry.get(entry.get("hash", "md5"))) if entry else None

    def upstream(self, last: str) -> DvcLock:
        """The node `last` and all nodes it depends on, directly or not, in file order."""
        wanted, before = {last}, 0
        while len(wanted) > before:
            before = len(wanted)
            nodes = [self.nodes[name] for name in wanted if name in self.nodes]
            read = {dep["path"] for node in nodes for dep in node.get("deps", ())}
            wanted |= {
                name
                for name, outs in self.outputs().items()
                if any(is_inside(path, [out]) for out in outs for path in read)
            }
        return DvcLock({name: node for name, node in self.nodes.items() if name in wanted})

    def inconsistent_paths(self) -> list[str]:
        """Files whose MD5 differs between the node that wrote them and one that read them.

        That happens when a run ended between the two.
        """
        written = {path: md5 for outs in self.outputs().values() for path, md5 in outs.items()}
        return [
            dep["path"]
            for node in self.nodes.values()
            for dep in node.get("deps", ())
            if written.get(dep["path"], dep.get("md5")) != dep.get("md5")
        ]

    def param(self, node: str, file: str, key: str) -> Any:
        """The value of a parameter, such as `evaluate.ece_bins`, in a node's last run, or None."""
        found = self.nodes.get(node, {}).get("params", {}).get(file, {})
        if key in found:  # dvc.yaml may list single keys or a whole section
            return found[key]
        section, _, name = key.partition(".")
        values = found.get(section)
        return values.get(name) if isinstance(values, Mapping) else None

    def check(self, path: str, file: Path) -> None:
        """Raise StaleFile unless the file has the MD5 that dvc.lock has for `path`."""
        entry = self._any_entry(path)
        if entry is None:
            raise StaleFile("dvc.lock does not name it" if self.nodes else "no dvc.lock names it")
        if not file.is_file():
            raise StaleFile("it is missing, and dvc.lock names it")
        found = _md5(file, as_on_unix="hash" not in entry)
        if found != entry.get("md5"):
            raise StaleFile(
                f"the run wrote another one: its MD5 is {found[:7]}, dvc.lock says "
                f"{str(entry.get('md5'))[:7]}"
            )

    def _any_entry(self, path: str) -> Mapping[str, Any] | None:
        # A file inside one node's output folder may be a dependency of another node.
        return self._entry(path, "outs") or self._entry(path, "deps")

    def _entry(self, path: str, kind: str) -> Mapping[str, Any] | None:
        entries = (entry for node in self.nodes.values() for entry in node.get(kind, ()))
        return next((entry for entry in entries if entry["path"] == path), None)


def _hash(entry: Mapping[str, Any] | None) -> str | None:
    return str(entry["md5"]) if entry and "md5" in entry else None


def _md5(file: Path, as_on_unix: bool) -> str:
    """MD5 of the content. as_on_unix: with Unix line ends, as DVC 2 hashed text files."""
    content = file.read_bytes()
    if as_on_unix:
        content = content.replace(b"\r\n", b"\n")
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _has_expected_schema(content: Any) -> bool:
    """Whether DVC surely accepts it. (Importing its own schema check takes half a second.)"""
    if not isinstance(content, dict) or set(content) != {"schema", "stages"}:
        return False
    stages = content["stages"]
    return (
        content["schema"] == "2.0"
        and isinstance(stages, dict)
        and all(isinstance(name, str) and _is_stage(stage) for name, stage in stages.items())
    )


def _is_stage(stage: Any) -> bool:
    return (
        isinstance(stage, dict)
        and {"cmd"} <= set(stage) <= {"cmd", "deps", "params", "outs"}
        and isinstance(stage["cmd"], str)
        and all(_is_list_of_files(stage.get(kind, [])) for kind in ("deps", "outs"))
        and _is_params(stage.get("params", {}))
    )


def _is_list_of_files(entries: Any) -> bool:
    kinds = {"path": str, "hash": str, "md5": str, "size": int, "nfiles": int, "isexec": bool}
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and {"path", "hash", "md5"} <= set(entry) <= set(kinds)
        and all(type(value) is kinds[key] for key, value in entry.items())
        and entry["hash"] == "md5"
        and _MD5.fullmatch(entry["md5"]) is not None
        for entry in entries
    )


def _is_params(params: Any) -> bool:
    return isinstance(params, dict) and all(
        isinstance(file, str)
        and isinstance(values, dict)
        and all(isinstance(name, str) for name in values)
        for file, values in params.items()
    )


def parse_with_dvc(data: bytes) -> dict[str, Any]:
    """Parse a dvc.lock with DVC itself, in its order. Raises InvalidDvcLock with the reason."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, parse_yaml_for_update
    from voluptuous import Invalid

    try:
        content = parse_yaml_for_update(data.decode("utf-8"), "dvc.lock")
        COMPILED_LOCKFILE_SCHEMA(content)
    except UnicodeDecodeError:
        raise InvalidDvcLock("it is not UTF-8") from None
    except ParseError:
        raise InvalidDvcLock("it is not YAML") from None
    except Invalid as error:
        raise InvalidDvcLock(" ".join(str(error).split())) from None
    return content
