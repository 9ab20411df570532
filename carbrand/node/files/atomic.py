"""Atomic writes: a file or folder is either complete or unchanged, even after a crash.

Everything is written to a temporary file on the same file system, synced to disk (fsync) and then
renamed. Temporary files of a killed process are overwritten or removed by the next one.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.processes import Parents, is_alive

# Size of a Keras file without its weights, at most.
_MARGIN_BYTES = 2_000_000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of file systems that cannot sync a folder: shared folders of virtual machines, some FUSE.
_NOT_SYNCED = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP)


class StopAfterWriting(UserError):
    """An error that is raised after all outputs were written: they are kept."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success, the file there replaces `path`."""
    temporary = path.with_name(f".{path.name}.unfinished")
    try:
        with full_disk_named(path):
            yield temporary
            _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Where the disk is full, let the OSError name the file that is written.

    Copying names its source first, and writing none.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            error.filename = error.filename2 or error.filename or str(path)
            error.filename2 = None
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the content of a file."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; it is deleted unless `replace_folder` moved it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as parent:
        folder = Path(parent, "new")
        folder.mkdir()
        yield folder


def replace_folder(target: Path, new: Path) -> None:
    """Replace the folder `target` by `new`. If that fails, `target` is unchanged."""
    before = new.with_name("before")
    if target.exists():
        target.rename(before)
    try:
        new.rename(target)
    except OSError:
        if before.exists():
            before.rename(target)
        raise


@contextmanager
def atomic_files(out: Path, parents: Parents) -> Iterator[Path]:
    """Yield a temporary folder; on success, each file in it replaces the one in `out`.

    `out` is unchanged if a parent process has ended: another run may have started. Raises UserError
    if the disk is full.
    """
    out = out.resolve() if out.is_symlink() else out
    _remove_leftovers(out)
    temporary = out.parent / f".{out.name}.{os.getpid()}.unfinished"
    try:
        temporary.mkdir(parents=True)
        # A .gitignore inside the folder: no DVC output contains it, and Git needs no other pattern.
        (temporary / ".gitignore").write_text("*\n", "utf-8", newline="\n")
        try:
            yield temporary
        except StopAfterWriting:
            _move(temporary, out, parents)
            raise
        _move(temporary, out, parents)
    except Exception as error:
        if _is_full(error):
            raise UserError(
                f"{_fullest(out.parent)} has no space left for the files of {out}. Free some space "
                f"and run it again."
            ) from None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_disk_space(path: Path, weights: int) -> None:
    """Raise OSError if there is not enough disk space for a Keras file of so many weights.

    HDF5, which writes such files, crashes on a full disk, so call this first.
    """
    reserve_disk_space(path, weights)
    path.unlink()


def reserve_disk_space(path: Path, weights: int) -> None:
    """Write a file in whose place a Keras file of so many weights will fit. Raises OSError."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # not on Windows and macOS
            os.posix_fallocate(file.fileno(), 0, 4 * weights + _MARGIN_BYTES)


def _remove_leftovers(out: Path) -> None:
    pattern = re.compile(rf"\.{re.escape(out.name)}\.(\d+)\.unfinished")
    for path in out.parent.iterdir() if out.parent.is_dir() else ():
        found = pattern.fullmatch(path.name)
        if found and not _is_in_use(path, int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def _is_in_use(folder: Path, pid: int) -> bool:
    return pid != os.getpid() and is_alive(pid, folder.stat().st_mtime)


def _move(temporary: Path, out: Path, parents: Parents) -> None:
    (temporary / ".gitignore").unlink()
    out.mkdir(parents=True, exist_ok=True)
    names = [path.relative_to(temporary) for path in sorted(temporary.rglob("*")) if path.is_file()]
    for name in names:
        _sync(temporary / name)
    if not parents.alive():
        return
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (temporary / name).replace(out / name)
    for folder in {(out / name).parent for name in names}:
        _sync(folder)


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_SYNCED or not path.is_dir():
            raise
    finally:
        os.close(handle)


def _is_full(error: Exception) -> bool:
    if isinstance(error, UserError):
        return False
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    # HDF5 gives the error number only in its message.
    return any(f"errno = {number}," in str(error) for number in _FULL)


def _fullest(folder: Path) -> Path:
    """The folder or the system's temporary folder, whichever has less free space."""
    return min(folder, Path(tempfile.gettempdir()), key=lambda path: shutil.disk_usage(path).free)
