"""Three-way merge of dvc.lock, in which every entry is one that a run wrote.

DVC compares an entry with the files and parameters that are there, so a whole entry can never claim
what did not run: where nobody ran what both sides together ask for, DVC runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Lock = Mapping[str, Any]
Entry = Mapping[str, Any]
ABSENT = object()


class Unsettled(Exception):
    """Both sides changed the same thing, each in its own way."""


@dataclass(frozen=True)
class Merged:
    """A lock, and the nodes in it that no run has seen with the changes of both sides."""

    lock: dict[str, Any]
    not_run: tuple[str, ...]


def merge_locks(base: Lock, ours: Lock, theirs: Lock) -> Merged:
    """The contents of dvc.lock on two sides, merged node by node; base is where they parted.

    Nodes come in our order, then those that only they have: as DVC would have written them. Raises
    Unsettled where both sides changed something beside the nodes.
    """
    stages, not_run = _merge_entries(*(lock.get("stages", {}) for lock in (base, ours, theirs)))
    lock = _merge_keys(*({**lock, "stages": None} for lock in (base, ours, theirs)))
    return Merged(lock | {"stages": stages}, not_run)


def _merge_entries(
    base: Mapping[str, Entry], ours: Mapping[str, Entry], theirs: Mapping[str, Entry]
) -> tuple[dict[str, Entry], tuple[str, ...]]:
    merged: dict[str, Entry] = {}
    not_run = []
    for name in {**ours, **theirs}:
        sides = [side.get(name, ABSENT) for side in (base, ours, theirs)]
        try:
            entry = _changed_side(*sides)
        except Unsettled:
            entry, fits = _choose(*sides)
            if not fits:
                not_run.append(name)
        if entry is not ABSENT:
            merged[name] = entry
    return merged, tuple(not_run)


def _changed_side(base: Any, ours: Any, theirs: Any) -> Any:
    if theirs in (ours, base):
        return ours
    if ours == base:
        return theirs
    raise Unsettled


def _choose(base: Any, ours: Any, theirs: Any) -> tuple[Any, bool]:
    """The entry whose run had the inputs of both sides merged, and whether there is one.

    Else ours: an entry of a real run that DVC will find out of date. One that a side deleted and
    the other changed stays, since dvc.yaml says whether there is such a node.
    """
    if ABSENT in (ours, theirs):
        return (theirs if ours is ABSENT else ours), True
    try:
        wanted = _merge_keys(*(_inputs(entry) for entry in (base, ours, theirs)))
    except Unsettled:
        return ours, False
    for entry in (ours, theirs):
        if _inputs(entry) == wanted:
            return entry, True
    return ours, False


def _inputs(entry: Any) -> dict[tuple[str, ...], Any]:
    """The command, dependencies and parameters of an entry, by key."""
    if entry is ABSENT:
        return {}
    inputs: dict[tuple[str, ...], Any] = {("cmd",): entry["cmd"]}
    for dependency in entry.get("deps", []):
        inputs["deps", dependency["path"]] = dependency
    for file, values in entry.get("params", {}).items():
        for name, value in values.items():
            inputs["params", file, name] = value
    return inputs


def _merge_keys(
    base: Mapping[Any, Any], ours: Mapping[Any, Any], theirs: Mapping[Any, Any]
) -> dict[Any, Any]:
    """Key by key, the value of the side that changed it. Raises Unsettled where both did."""
    merged = {
        key: _changed_side(*(side.get(key, ABSENT) for side in (base, ours, theirs)))
        for key in {**ours, **theirs}
    }
    return {key: value for key, value in merged.items() if value is not ABSENT}
