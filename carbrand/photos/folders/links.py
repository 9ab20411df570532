"""Which links are followed, in training, testing and `predict` alike.

A link to a file inside the photo folders is followed. Any other is reported and never opened: its
target is in no clone and may be private, and DVC would hash it like a photo. Pipes and devices are
reported too, because opening one may block forever.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from carbrand.photos.folders.files import is_hidden
from carbrand.photos.photo import links_outside

# How many are listed; the rest is counted.
SHOWN = 20


def find_refused(folder: Path, inside: Sequence[Path] | None) -> dict[str, str]:
    """Path → reason for everything below `folder` that must not be opened, sorted by path.

    inside: folders that links may point into, or None for any target. Hidden links to folders are
    omitted, as those are never followed.
    """
    return dict(sorted(_walk(folder, (), inside)))


def describe_refused(unfit: Mapping[str, str]) -> list[str]:
    """One line with the fix for each of the first SHOWN, and one that counts the others."""
    lines = [_describe_refused(path, reason) for path, reason in list(unfit.items())[:SHOWN]]
    more = len(unfit) - len(lines)
    return lines + [f"There are {more:,} more like these."] * (more > 0)


def refusal_reason(path: str, inside: Sequence[Path] | None) -> str:
    """Why a link is not followed; empty if it is followed or not a link. Opens nothing.

    The reason does not name the target, which may differ between machines.
    """
    if not os.path.islink(path):  # noqa: PTH114 — a Path per file is slower
        return ""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a circular link"
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return "a broken link"
        return f"a link that cannot be followed ({error.strerror})"
    if stat.S_ISDIR(mode):
        return "a link to a folder, which is not followed"
    if not stat.S_ISREG(mode):
        return "a link to a pipe or a device"
    if inside is not None and all(links_outside(path, folder) for folder in inside):
        return "a link to a file outside the folders of photos"
    return ""


def _describe_refused(path: str, reason: str) -> str:
    if os.path.islink(path):  # noqa: PTH114
        where = os.readlink(path)  # noqa: PTH115
        return f"{path} is {reason} ({where}). Put a copy here in its place, or remove the link."
    return f"{path} is {reason}. Remove it, or fix its permissions."


def _walk(
    folder: Path | str, parts: tuple[str, ...], inside: Sequence[Path] | None
) -> Iterator[tuple[str, str]]:
    try:
        entries = os.scandir(folder)
    except OSError:  # missing or not readable: reported by whoever reads its files
        return
    with entries:
        for entry in entries:
            here = (*parts, entry.name)
            if entry.is_symlink():
                reason = refusal_reason(entry.path, inside)
                if reason and not (is_hidden(here) and os.path.isdir(entry.path)):  # noqa: PTH112
                    yield Path(entry.path).as_posix(), reason
            elif entry.is_dir():
                yield from _walk(entry.path, here, inside)
            elif not entry.is_file():
                yield Path(entry.path).as_posix(), "a pipe or a device, not a regular file"
            elif not os.access(entry.path, os.R_OK):
                yield Path(entry.path).as_posix(), "a file that may not be read"
