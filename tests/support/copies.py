"""Copies of projects that several tests start from."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

# Of a project, or of one in a folder: Git, DVC and Python replace files of these, and write into
# none.
_LINKED = ("/.git/objects/", "/.dvc/cache/", "/carbrand/")


def copy_made(
    made: Path, target: Path, ignore: Callable[[str, list[str]], set[str]] | None = None
) -> Path:
    """A copy of one's own, in which the library and what Git and DVC keep are hard links."""

    def add(source: str, copy: str) -> None:
        if _is_linked(made, source):
            with contextlib.suppress(OSError):  # on another disk, say
                os.link(source, copy)
                return
        shutil.copy2(source, copy)

    return Path(shutil.copytree(made, target, symlinks=True, ignore=ignore, copy_function=add))


@contextlib.contextmanager
def lent(made: Path, target: Path) -> Iterator[Path]:
    """`copy_made`; fails at the end where somebody wrote into what others see as well."""
    files = [f"{folder}/{name}" for folder, _, names in os.walk(made) for name in names]
    # Git sets times of what it finds again.
    linked = [file for file in files if _is_linked(made, file) and "/.git/" not in file]
    before = {file: _stamp(file) for file in linked}
    yield copy_made(made, target)
    written = [file for file, stamp in before.items() if stamp != _stamp(file)]
    assert not written, f"other tests have these files too: delete, then write {written}"


def _is_linked(made: Path, file: str) -> bool:
    below = file[len(str(made)) :].replace(os.sep, "/")
    return any(folder in below for folder in _LINKED)


def _stamp(file: str) -> tuple[int, int]:
    status = Path(file).lstat()
    return status.st_mtime_ns, status.st_size
