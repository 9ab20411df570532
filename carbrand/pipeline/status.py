"""Stale nodes: whether results are those that the params, photos and code here would give.

DVC compares hashes with dvc.lock: 1.2 s for the sample on a quiet machine, as long as `dvc status`
by hand. Files with unchanged dates are not hashed again, so more photos cost little more.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock, InvalidDvcLock, changed_params, is_inside
from carbrand.node.params import read_file
from carbrand.node.wording import first_few, one_line
from carbrand.pipeline.dvc_files import DVC_LOCK, DVC_YAML, read_nodes, tracked_hash
from carbrand.pipeline.dvc_settings import environment

# Of an output that was not fetched: its hash is still in dvc.lock.
_NOT_HERE = ("deleted", "not in cache")
_MOST_NAMES = 5


@dataclass(frozen=True)
class Difference:
    """A dependency or output of a node that is not as in dvc.lock.

    path: a file, `params.yaml: train.l2`, or `dvc.yaml` where the command is another. state: DVC's
    word, such as `modified` or `deleted`. written: whether the node writes it.
    """

    node: str
    path: str
    state: str
    written: bool = False


def query_dvc(project: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of DVC that only reads, so that it may be killed at any time."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=environment(project),
        check=False,
        capture_output=True,
        text=True,
    )


def read_status(project: Path, files: Sequence[str] = (DVC_YAML,)) -> list[Difference]:
    """All differences, in the order of the nodes. Raises UserError where DVC fails.

    files: dvc.yaml, or .dvc files, each of which is a node that writes what it tracks.
    """
    done = query_dvc(project, ("dvc", "status", "--json", *files))
    if done.returncode != 0:
        raise UserError(f"`dvc status` failed: {' '.join(done.stderr.split())}")
    nodes = json.loads(done.stdout)
    return [found for node, entries in nodes.items() for found in _differences(node, entries)]


def check_up_to_date(project: Path) -> None:
    """Raise UserError if a node is stale.

    Outputs may be missing, and photos of which a .dvc file tracks the same state: a clone has
    neither before `dvc pull`.
    """
    lock = _read_lock(project / DVC_LOCK)
    differences = read_status(project)
    _check_frozen(project)
    written = [path for outs in lock.outputs().values() for path in outs]
    stale = [
        name
        for found in differences
        if not (found.state in _NOT_HERE and is_inside(found.path, written))
        and not (found.state == "deleted" and _is_tracked_elsewhere(project, found, lock))
        for name in _single_keys(project, found, lock)
    ]
    stale += lock.inconsistent_paths()
    if stale:
        raise UserError(
            f"The results here are not those of the params, photos and code that are here: "
            f"{in_a_few_words(map(one_line, stale))} changed since. `make repro` makes them anew."
        )


def _check_frozen(project: Path) -> None:
    """Raise UserError for a frozen node: DVC looks for no change there."""
    frozen = [name for name, node in read_nodes(project).items() if node.get("frozen")]
    if frozen:
        names = " ".join(map(one_line, frozen))
        raise UserError(
            f"{DVC_YAML} freezes {names}: DVC looks for no change there, so nobody knows whether "
            f"the results are up to date. `dvc unfreeze {names}`, then `make repro`."
        )


def in_a_few_words(names: Iterable[str]) -> str:
    """The first few, each once, and how many more."""
    return first_few(list(dict.fromkeys(names)), _MOST_NAMES)


def _differences(node: str, entries: list[Any]) -> Iterator[Difference]:
    for entry in entries:
        if not isinstance(entry, dict):  # "changed command"
            yield Difference(node, DVC_YAML, str(entry))
            continue
        for kind, paths in entry.items():
            for path, state in paths.items():
                yield from _difference(node, Path(path).as_posix(), state, kind == "changed outs")


def _difference(node: str, path: str, state: Any, written: bool) -> Iterator[Difference]:
    if isinstance(state, dict):  # of a file of params: key by key
        for key, how in state.items():
            yield Difference(node, f"{path}: {key}", str(how), written)
    else:
        yield Difference(node, path, str(state), written)


def _read_lock(path: Path) -> DvcLock:
    try:
        lock = DvcLock.parse_strictly(path.read_bytes())
    except FileNotFoundError:
        lock = DvcLock({})
    except InvalidDvcLock:
        raise UserError(
            f"{DVC_LOCK} is damaged, perhaps by a merge. `git checkout HEAD -- {DVC_LOCK}` gets it "
            f"back."
        ) from None
    if not lock.nodes:
        raise UserError(
            f"{DVC_LOCK} names no results, so nobody knows of which photos they are. `make repro`."
        )
    return lock


def _single_keys(project: Path, found: Difference, lock: DvcLock) -> list[str]:
    """Of a section of params.yaml, the keys that changed; the path of anything else."""
    file, _, section = found.path.partition(": ")
    recorded = lock.nodes.get(found.node, {}).get("params", {}).get(file, {}).get(section)
    if not isinstance(recorded, Mapping) or found.state != "modified":
        return [found.path]
    changed = changed_params({section: recorded}, read_file(project / file))
    return [f"{file}: {key}" for key in changed] or [found.path]


def _is_tracked_elsewhere(project: Path, found: Difference, lock: DvcLock) -> bool:
    """Whether the .dvc file beside a path tracks just what the node read there."""
    seen = lock.dependency_hash(found.node, found.path)
    return seen is not None and seen == tracked_hash(project / f"{found.path}.dvc")
