"""A snapshot of outputs and dvc.lock before a run, restored where nodes did not get through.

DVC deletes a node's outputs before it starts the node. Without a snapshot, a node that fails would
leave nothing of what it had written before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock
from carbrand.node.terminal import print_note
from carbrand.pipeline.dvc_files import DVC_LOCK, Output
from carbrand.pipeline.healing import mend_lock
from carbrand.pipeline.locks import SNAPSHOT, TEMPORARY, heal_rwlock, workers

# Snapshots that could not be restored are renamed so; no later run deletes them.
_RESCUED = "rescued-"
_LOCK = Path(DVC_LOCK)


@dataclass(frozen=True)
class Snapshot:
    """Copies of the `outputs` in `folder`, by their paths, and the bytes of dvc.lock."""

    folder: Path
    outputs: Sequence[Output]
    lock: bytes | None


@contextlib.contextmanager
def take_snapshot(outputs: Sequence[Output]) -> Iterator[Snapshot]:
    """A snapshot of those outputs that exist, deleted at the end of the block."""
    lock = _LOCK.read_bytes() if _LOCK.exists() else None
    there = [output for output in outputs if output.path.exists()]
    with tempfile.TemporaryDirectory(dir=TEMPORARY, prefix=SNAPSHOT) as folder:
        for output in there:
            copy(output.path, folder / output.path)
        yield Snapshot(Path(folder), there, lock)


def roll_back(snapshot: Snapshot) -> None:
    """Restore dvc.lock if it is torn, and the outputs of nodes that did not get through."""
    with _kept_on_failure(snapshot.folder):
        restore_lock(snapshot.lock)
        restore(stale_outputs(snapshot), snapshot.folder)
        heal_rwlock(TEMPORARY)


def restore_lock(before: bytes | None) -> None:
    """Restore dvc.lock where a killed DVC, or a full disk, has torn it."""
    if _LOCK.exists():
        mend_lock(_LOCK, lambda: before)


def stale_outputs(snapshot: Snapshot) -> list[Output]:
    """The outputs of nodes whose entries in dvc.lock are those of before: they did not finish.

    Not those that another process of DVC is writing.
    """
    before, after = DvcLock.parse(snapshot.lock).nodes, DvcLock.read(_LOCK).nodes
    busy = [worker.path for worker in workers(TEMPORARY) if worker.writes]
    return [
        output
        for output in snapshot.outputs
        if before.get(output.node) == after.get(output.node) and output.path.absolute() not in busy
    ]


def restore(outputs: Sequence[Output], folder: Path) -> None:
    """Replace outputs by their copies in the folder of a snapshot.

    Raises OSError where one of them cannot be replaced, after all the others.
    """
    problems = []
    for output in outputs:
        try:
            _remove(output.path)
            copy(folder / output.path, output.path)
        except OSError as error:
            problems.append(error)
    if problems:
        raise problems[0]


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, by hard links where the file system has them.

    A link keeps the content: DVC deletes and replaces outputs, and never writes into one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link, symlinks=True)
    else:
        _link(source, target)


@contextlib.contextmanager
def _kept_on_failure(folder: Path) -> Iterator[None]:
    """Where the block fails, keep the folder of a snapshot for good, and print where it is."""
    try:
        yield
    except (OSError, UserError) as error:
        place = folder.rename(folder.with_name(folder.name.replace(SNAPSHOT, _RESCUED, 1)))
        reason = " ".join(str(error).split())
        with contextlib.suppress(OSError):  # the terminal may be gone
            print_note(
                f"error: Not everything could be put back ({reason}). What was there before is in "
                f"{place}: take from it what is missing, then delete it."
            )


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
