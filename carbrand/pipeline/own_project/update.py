"""A project is brought to the carbrand that is installed; what the user changed is kept."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.code import CODE_FILE
from carbrand.node.errors import UserError
from carbrand.pipeline.own_project.base import read_base, write_base
from carbrand.pipeline.own_project.creation import write
from carbrand.pipeline.own_project.derived import installed_code, project_files
from carbrand.pipeline.own_project.text_merge import merge_texts

_MARKER = re.compile(r"^<{7} ", re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """A file before and after; None where there is none. conflicts: how many `after` marks."""

    path: str
    before: str | None
    after: str | None
    conflicts: int = 0

    def diff(self) -> Iterator[str]:
        """The lines of a unified diff; none where nothing changed."""
        before, after = ((text or "").splitlines() for text in (self.before, self.after))
        return difflib.unified_diff(before, after, self.path, self.path, lineterm="")


def update_project(project: Path, version: str) -> list[Change]:
    """Write the files of that version, merged with the user's changes; what changed.

    A file that the user deleted stays away. Raises UserError before anything is written.
    """
    was, becomes = read_base(project), project_files(version)
    changes = [
        _merge(project, name, was.get(name), text, f"carbrand {version}")
        for name, text in sorted(becomes.items())
        if text != was.get(name)
    ]
    changes.append(Change(CODE_FILE, _read(project / CODE_FILE), installed_code()))
    changed = [change for change in changes if change.after != change.before]
    for change in changed:
        write(project / change.path, change.after or "")
    write_base(project, becomes)
    return changed


def _merge(project: Path, name: str, was: str | None, becomes: str, theirs: str) -> Change:
    here = _read(project / name)
    if here is None:
        return Change(name, None, None if was else becomes)
    if _MARKER.search(here):
        raise UserError(
            f"{project / name}: a conflict of an earlier merge is left. Keep one side of each, "
            f"delete the markers <<<<<<<, ======= and >>>>>>>, then run it again."
        )
    if here == was:
        return Change(name, here, becomes)
    return Change(name, here, *merge_texts(was or "", here, becomes, theirs))


def _read(path: Path) -> str | None:
    """The text with LF, whatever an editor left; None if there is no such file."""
    try:
        return path.read_text("utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
