"""What made the artifacts: the machine and the software, which do not show in their bits.

`make repro` writes it for each node that it ran, into `.made_by/`, a file for each state of a
node's outputs. `python -m carbrand.pipeline.made_by` prints those of the outputs in dvc.lock.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from carbrand.node.atomic import write_atomically
from carbrand.node.dvc_lock import DvcLock
from carbrand.node.errors import DONE, UserError, exit_status
from carbrand.node.terminal import print_lines, print_note
from carbrand.pipeline.circumstances import circumstances
from carbrand.pipeline.git import Repository

FOLDER = Path(".made_by")
LOCK = "dvc.lock"


def record(project: Path, nodes: Iterable[str]) -> None:
    """Write what made the present outputs of the nodes. Where it cannot be written, say so."""
    try:
        outputs = DvcLock.read(project / LOCK).outputs()
        told = [name for name in dict.fromkeys(nodes) if outputs.get(name)]
        if not told:
            return
        (project / FOLDER).mkdir(exist_ok=True)
        (project / FOLDER / ".gitignore").write_text("*\n", "utf-8", newline="\n")
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        shared = {"when": when, **_code(project), **circumstances()}
        for name in told:
            text = json.dumps({**shared, "artifacts": outputs[name]}, indent=1, sort_keys=True)
            write_atomically(_file(project, name, outputs[name]), f"{text}\n".encode())
    except Exception as error:  # the artifacts are right without it
        reason = " ".join(str(error).split())
        print_note(f"note: what made the artifacts could not be written down: {reason}")


def recorded(project: Path) -> dict[str, Any]:
    """What made the outputs in dvc.lock, by node; None for those of which it is not known."""
    told: dict[str, Any] = {}
    for name, hashes in DvcLock.read(project / LOCK).outputs().items():
        file = _file(project, name, hashes)
        told[name] = json.loads(file.read_text("utf-8")) if file.is_file() else None
    return told


def _file(project: Path, node: str, hashes: dict[str, str]) -> Path:
    state = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
    return project / FOLDER / f"{node}-{state[:16]}.json"


def _code(project: Path) -> dict[str, Any]:
    """The commit, and files that were not as in it, but for those that nodes write."""
    repository = Repository(project)
    try:
        commit = repository.find("HEAD")
    except UserError:  # a machine without Git
        commit = None
    changed = repository.changed() if commit else []
    written = ("artifacts/", "dvc.lock")
    return {
        "commit": commit,
        "changed_since": [path for path in changed if not path.startswith(written)],
    }


def main() -> int:
    """Print what made the artifacts."""
    told = recorded(Path())
    if not told:
        raise UserError("dvc.lock names no artifacts. `make repro` makes them.")
    print_lines(json.dumps(told, indent=1, sort_keys=True))
    return DONE


if __name__ == "__main__":
    sys.exit(exit_status(main))
