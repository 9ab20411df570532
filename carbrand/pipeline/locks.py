"""Locks: one `make repro` of a project at a time, and DVC's own, in .dvc/tmp, of who is at work.

DVC's are waited for, or removed where the process that took them was killed.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from voluptuous import Invalid, Required, Schema

from carbrand.node.errors import UserError
from carbrand.node.files.atomic import write_atomically
from carbrand.node.processes import is_alive
from carbrand.node.terminal import print_note

# On the same file system as the artifacts; ignored by Git and DVC.
TEMPORARY = Path(".dvc/tmp")
# Folders in it that only a run under way needs are called so.
SNAPSHOT = "kept-"
_POLL_S = 0.2
# A command of DVC that only reads is done before anybody would want to read about it.
_PATIENCE_S = 2.0
# As in dvc/rwlock.py, whose import takes half a second.
_INFO = {Required("pid"): int, Required("cmd"): str}
_RWLOCK = Schema({"write": {str: _INFO}, "read": {str: [_INFO]}})
# How long DVC itself tries to get a lock.
_DVC_TRIES_S = 3.0


class Busy(Exception):
    """Another process holds the lock."""


@dataclass(frozen=True)
class Worker:
    """A process of DVC that reads or writes `path`, an absolute one."""

    pid: int
    command: str
    path: Path
    writes: bool


@contextmanager
def held_within(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold a lock file; it is free again when this process ends, however it ends.

    DVC (zc.lockfile) locks its files in the same way: they exclude each other. Raises Busy after
    `timeout_s`, and UserError where the file system has no locks: a lock file that a killed process
    would leave behind is none.
    """
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=timeout_s, poll_interval=_POLL_S)
    except Timeout:
        raise Busy from None
    except OSError as error:
        raise UserError(
            f"{path} cannot be locked ({error.strerror}), so nothing would keep two runs apart. "
            f"Put the project on a file system that can, a local disk for instance."
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether another process holds the lock file."""
    if not path.exists():
        return False
    try:
        with held_within(path, 0):
            return False
    except Busy:
        return True


@contextmanager
def held_once_free(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file as soon as it is free; `wait` is called in between, and may raise."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held_within(path, 0))
                break
            except Busy:
                wait()
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only `make repro` of this project; wait until another one has ended.

    folder: the project's TEMPORARY.
    """
    folder.mkdir(parents=True, exist_ok=True)
    patience = _Patience("another `make repro` is at work here")
    with held_once_free(folder / "repro.lock", patience.wait):
        for leftover in folder.glob(f"{SNAPSHOT}*"):  # of a run that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def wait_for_dvc(folder: Path) -> None:
    """Wait until no process of DVC is at work in this project; heal what killed ones left."""
    patience = _Patience("DVC is at work here")
    while True:
        heal_rwlock(folder)
        found = workers(folder)
        if not found and not is_held(folder / "lock"):
            return
        patience.wait(f" ({found[0].command}, process {found[0].pid})" if found else "")


def workers(folder: Path) -> list[Worker]:
    """The processes of DVC that are at work on files of this project."""
    found = _read_rwlock(folder / "rwlock")
    return [worker for worker, alive in _entries(*found) if alive] if found else []


def heal_rwlock(folder: Path) -> None:
    """Remove .dvc/tmp/rwlock where it is torn, or else the entries of processes that were killed.

    Does nothing while a process of DVC is changing it.
    """
    path = folder / "rwlock"
    if not path.exists():
        return
    try:
        with held_within(folder / "rwlock.lock", _DVC_TRIES_S):
            found = _read_rwlock(path)
            if found is None:
                path.unlink(missing_ok=True)
                return
            content, since = found
            if all(alive for _, alive in _entries(content, since)):
                return
            write_atomically(path, json.dumps(_without_dead(content, since)).encode())
    except Busy:
        return


class _Patience:
    """Waits a moment at a time, and prints a note once when it takes long."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.until: float | None = time.monotonic() + _PATIENCE_S

    def wait(self, who: str = "") -> None:
        if self.until is not None and time.monotonic() > self.until:
            self.until = None
            print_note(f"note: {self.reason}{who}. Waiting for its end.")
        time.sleep(_POLL_S)


def _read_rwlock(path: Path) -> tuple[dict[str, Any], float] | None:
    """The content, and when it was written; None where DVC could not read it."""
    try:
        since = path.stat().st_mtime
        content: dict[str, Any] = _RWLOCK(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}, 0.0
    except (ValueError, Invalid):
        return None
    return content, since


def _entries(content: dict[str, Any], since: float) -> list[tuple[Worker, bool]]:
    """Each worker, and whether its process still runs."""
    found = []
    for kind in ("write", "read"):
        for path, infos in content.get(kind, {}).items():
            for info in infos if isinstance(infos, list) else [infos]:
                worker = Worker(info["pid"], info["cmd"], Path(path), kind == "write")
                found.append((worker, is_alive(worker.pid, since)))
    return found


def _without_dead(content: dict[str, Any], since: float) -> dict[str, Any]:
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
