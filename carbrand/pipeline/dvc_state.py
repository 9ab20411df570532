"""What DVC keeps in .dvc/tmp of who is at work: waited for, or removed where nobody is."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.atomic import write_atomically
from carbrand.node.processes import is_alive
from carbrand.node.terminal import print_note
from carbrand.pipeline.file_lock import Busy, held_once_free, held_within, is_held

# What is kept there for the time of a run is in folders that are called so.
KEPT = "kept-"
_POLL_S = 0.2
# A command of DVC that only looks is done before anybody would want to read about it.
_PATIENCE_S = 2.0
# So long DVC itself tries to get a lock.
_DVC_TRIES_S = 3.0


@dataclass(frozen=True)
class Worker:
    """A process of DVC that reads or writes `path`, an absolute one."""

    pid: int
    command: str
    path: Path
    writes: bool


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only `python -m stages` of this project; wait until one that is there has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    patience = _Patience("another `make repro` is at work here")
    with held_once_free(folder / "repro.lock", patience.wait):
        for leftover in folder.glob(f"{KEPT}*"):  # of one that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def wait_for_dvc(folder: Path) -> None:
    """Wait until no process of DVC is at work in this project; forget those that were killed."""
    patience = _Patience("DVC is at work here")
    while True:
        mend_rwlock(folder)
        at_work = workers(folder)
        if not at_work and not is_held(folder / "lock"):
            return
        patience.wait(f" ({at_work[0].command}, process {at_work[0].pid})" if at_work else "")


class _Patience:
    """Waits a moment at a time, and says so once when it takes long."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.until: float | None = time.monotonic() + _PATIENCE_S

    def wait(self, who: str = "") -> None:
        if self.until is not None and time.monotonic() > self.until:
            self.until = None
            print_note(f"note: {self.reason}{who}. Waiting for its end.")
        time.sleep(_POLL_S)


def workers(folder: Path) -> list[Worker]:
    """The processes of DVC that are at work on files of this project."""
    found = _read(folder / "rwlock")
    return [worker for worker, alive in _entries(*found) if alive] if found else []


def mend_rwlock(folder: Path) -> None:
    """Remove .dvc/tmp/rwlock where it is torn, and what killed processes left in it.

    A process of DVC that is changing it just now is left in peace.
    """
    path = folder / "rwlock"
    if not path.exists():
        return
    try:
        with held_within(folder / "rwlock.lock", _DVC_TRIES_S):
            found = _read(path)
            if found is None:
                path.unlink(missing_ok=True)
                return
            content, since = found
            if all(alive for _, alive in _entries(content, since)):
                return
            write_atomically(path, json.dumps(_of_living(content, since)).encode())
    except Busy:
        return


def _read(path: Path) -> tuple[dict[str, Any], float] | None:
    """What DVC would read, and when it was written; None where it would not. No file is nobody."""
    try:
        since = path.stat().st_mtime
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, 0.0
    except ValueError:
        return None
    if not isinstance(content, dict) or not set(content) <= {"read", "write"}:
        return None
    for kind in ("read", "write"):
        entries = content.get(kind, {})
        if not isinstance(entries, dict):
            return None
        for infos in entries.values():
            if isinstance(infos, list) != (kind == "read"):
                return None
            if not all(map(_is_info, infos if isinstance(infos, list) else [infos])):
                return None
    return content, since


def _is_info(info: Any) -> bool:
    return (
        isinstance(info, dict)
        and set(info) == {"pid", "cmd"}
        and isinstance(info["pid"], int)
        and isinstance(info["cmd"], str)
    )


def _entries(content: dict[str, Any], since: float) -> list[tuple[Worker, bool]]:
    """Each with whether its process is there."""
    found = []
    for kind in ("write", "read"):
        for path, infos in content.get(kind, {}).items():
            for info in infos if isinstance(infos, list) else [infos]:
                worker = Worker(info["pid"], info["cmd"], Path(path), kind == "write")
                found.append((worker, is_alive(worker.pid, since)))
    return found


def _of_living(content: dict[str, Any], since: float) -> dict[str, Any]:
    living: dict[str, Any] = {}
    for worker, alive in _entries(content, since):
        if not alive:
            continue
        info = {"pid": worker.pid, "cmd": worker.command}
        if worker.writes:
            living.setdefault("write", {})[str(worker.path)] = info
        else:
            living.setdefault("read", {}).setdefault(str(worker.path), []).append(info)
    return living
