"""One rule for links, the same for training photos, test photos and folders given to `predict`.

A link to a file inside the folders of photos is that file. Any other is named and never opened:
what it leads to is in no clone and may be nobody's photo, and DVC, which hashes what a link leads
to, could not tell it from a photo. Pipes and devices are named with them: whoever opens one may
wait for ever, and so would DVC.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from carbrand.photos.files import is_hidden
from carbrand.photos.photo import links_outside

# So many are named a line each; the rest is counted.
SHOWN = 20


def find_refused(folder: Path, inside: Sequence[Path] | None) -> dict[str, str]:
    """What lies below `folder` and is no file that may be read: the reason by path, in order.

    inside: the folders to which links may lead; None where they may lead to any file. Hidden links
    to folders are left out: nothing looks at them.
    """
    return dict(sorted(_walk(folder, (), inside)))


def describe_refused(unfit: Mapping[str, str]) -> list[str]:
    """A line for each of the first SHOWN, with what to do, and one for all others."""
    lines = [_describe(path, reason) for path, reason in list(unfit.items())[:SHOWN]]
    more = len(unfit) - len(lines)
    return lines + [f"There are {more:,} more like these."] * (more > 0)


def refusal_reason(path: str, inside: Sequence[Path] | None) -> str:
    """What a link is that is not followed; empty for one that is, and for what is no link.

    Where it leads is left out: it may differ from machine to machine. Nothing is opened.
    """
    if not os.path.islink(path):  # noqa: PTH114 — a Path per file costs more
        return ""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads in a circle"
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return "a link that leads nowhere"
        return f"a link that cannot be followed ({error.strerror})"
    if stat.S_ISDIR(mode):
        return "a link to a folder, which is not followed"
    if not stat.S_ISREG(mode):
        return "a link to what is no regular file"
    if inside is not None and all(links_outside(path, folder) for folder in inside):
        return "a link to a file outside the folders of photos"
    return ""


def _describe(path: str, reason: str) -> str:
    if os.path.islink(path):  # noqa: PTH114
        where = os.readlink(path)  # noqa: PTH115
        return f"{path} is {reason} ({where}). Put a copy here in its place, or remove the link."
    return f"{path} is {reason}. Remove it, or mend its rights."


def _walk(
    folder: Path | str, parts: tuple[str, ...], inside: Sequence[Path] | None
) -> Iterator[tuple[str, str]]:
    try:
        entries = os.scandir(folder)
    except OSError:  # there is none, or no right to read it: whoever needs what is in it says so
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
                yield Path(entry.path).as_posix(), "no regular file, but a pipe or a device"
            elif not os.access(entry.path, os.R_OK):
                yield Path(entry.path).as_posix(), "a file that may not be read"
