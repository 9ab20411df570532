"""What dvc.lock of one state of a project says of the files of its run: only those are believed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.pipeline.dvc_lock import Torn, read_whole


class NotOfTheRun(ValueError):
    """A file is not the one that dvc.lock names; the message says why, in half a sentence."""


@dataclass(frozen=True)
class RunLock:
    """The nodes of a dvc.lock by name; none where it is missing or torn."""

    nodes: Mapping[str, Any]

    @classmethod
    def of(cls, content: bytes | None) -> RunLock:
        """What the bytes of a dvc.lock say, or None for a missing one."""
        try:
            nodes = read_whole(content).get("stages") if content else None
        except Torn:
            nodes = None
        return cls(nodes or {})

    @classmethod
    def read(cls, path: Path) -> RunLock:
        """That of a file, which need not be there."""
        return cls.of(path.read_bytes() if path.is_file() else None)

    def written(self, path: str) -> str | None:
        """The MD5 of a file that a node wrote, or None where none did."""
        return _hash(self._entry(path, "outs"))

    def md5(self, path: str) -> str | None:
        """The MD5 of a file that a node wrote or read, or None where none did."""
        return _hash(self._any_entry(path))

    def param(self, node: str, file: str, key: str) -> Any:
        """The value of a parameter, such as `evaluate.ece_bins`, with which a node ran, or None."""
        found = self.nodes.get(node, {}).get("params", {}).get(file, {})
        if key in found:  # DVC writes the keys that dvc.yaml names: this one, or its whole section
            return found[key]
        section, _, name = key.partition(".")
        values = found.get(section)
        return values.get(name) if isinstance(values, Mapping) else None

    def check(self, path: str, file: Path) -> None:
        """Raise NotOfTheRun unless the file has the bytes that the run wrote or read at `path`."""
        entry = self._any_entry(path)
        if entry is None:
            raise NotOfTheRun("dvc.lock does not name it" if self.nodes else "no dvc.lock names it")
        if not file.is_file():
            raise NotOfTheRun("it is missing, and dvc.lock names it")
        found = _md5(file, as_on_unix="hash" not in entry)
        if found != entry.get("md5"):
            raise NotOfTheRun(
                f"the run wrote another one: its MD5 is {found[:7]}, dvc.lock says "
                f"{str(entry.get('md5'))[:7]}"
            )

    def _any_entry(self, path: str) -> Mapping[str, Any] | None:
        # What one node writes as a part of a folder, another one may read by its name.
        return self._entry(path, "outs") or self._entry(path, "deps")

    def _entry(self, path: str, kind: str) -> Mapping[str, Any] | None:
        entries = (entry for node in self.nodes.values() for entry in node.get(kind, ()))
        return next((entry for entry in entries if entry["path"] == path), None)


def _hash(entry: Mapping[str, Any] | None) -> str | None:
    return str(entry["md5"]) if entry and "md5" in entry else None


def _md5(file: Path, as_on_unix: bool) -> str:
    """Of the bytes; as_on_unix: with the line ends of Unix, of which DVC 2 hashed texts."""
    content = file.read_bytes()
    if as_on_unix:
        content = content.replace(b"\r\n", b"\n")
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
