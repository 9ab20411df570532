"""Atomic writes: a file or a folder is there whole or not at all, whatever happens meanwhile.

Everything is written under a temporary name on the same file system, synced to the disk, and then
renamed. What a killed process left behind, the next one overwrites or removes.
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

# What a Keras file holds besides weights.
_MARGIN_BYTES = 2_000_000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Of folders that a file system cannot sync: those that a virtual machine shares, some of FUSE.
_NOT_SYNCED = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP)


class StopAfterWriting(UserError):
    """What was written is whole, and says what is wrong: it is kept all the same."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name, the file of which replaces `path` when the block ends well."""
    temporary = path.with_name(f".{path.name}.unfinished")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace what the file holds."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside `target`, deleted at the end unless `replace_folder` moved it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as parent:
        folder = Path(parent, "new")
        folder.mkdir()
        yield folder


def replace_folder(target: Path, new: Path) -> None:
    """Put the folder `new` in the place of `target`. With an error, `target` stays as it was."""
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
    """A temporary folder, of which every file replaces that in `out` when the block ends well.

    Nothing gets there when this process has outlived those that it works for: the next run may be
    under way. Raises UserError where the disk is full.
    """
    out = out.resolve() if out.is_symlink() else out
    _remove_leftovers(out)
    temporary = out.parent / f".{out.name}.{os.getpid()}.unfinished"
    try:
        temporary.mkdir(parents=True)
        # Git needs no pattern for it; DVC tracks no folder that it lies in.
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
                f"{_fullest(out.parent)} has no space left for the files of {out}. Free some and "
                f"run it again."
            ) from None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_disk_space(path: Path, weights: int) -> None:
    """Raise OSError where there is no room for a Keras file of so many weights.

    To be called before: HDF5, which writes such files, crashes on a full disk.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # not on Windows and macOS
            os.posix_fallocate(file.fileno(), 0, 4 * weights + _MARGIN_BYTES)
    path.unlink()


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
    """Wait until the disk has a file, or the names in a folder."""
    if os.name == "nt" and path.is_dir():  # cannot be opened there
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
    # HDF5 says it in words alone.
    return any(f"errno = {number}," in str(error) for number in _FULL)


def _fullest(folder: Path) -> Path:
    """The folder, or the one of temporary files: whichever has less space."""
    return min(folder, Path(tempfile.gettempdir()), key=lambda path: shutil.disk_usage(path).free)
