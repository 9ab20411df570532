"""Install the merge drivers that .gitattributes names in the configuration of this clone.

Git runs no command from a committed file, so each clone must install them once.
"""

from __future__ import annotations

from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.terminal import print_note
from carbrand.pipeline.git import Repository

# Git calls it in the root of the worktree. The project is where dvc.lock lies (%P), and its own
# code runs; a worktree without .venv takes that of the main one. Where there is none, and for what
# cannot be merged, there is a conflict, and the file stays as it is on our side: no markers, with
# which DVC could not read it, and no merge of lines, which could claim what never ran.
MERGE_LOCK = (
    'top="$PWD"; main="$(cd "$(git rev-parse --git-common-dir)/.." && pwd)"; '
    'project="$(dirname %P)"; for root in "$top" "$main"; do '
    'for python in "$root/$project/.venv/bin/python" "$root/$project/.venv/Scripts/python.exe"; do '
    'test -x "$python" && break 2; done; done; '
    '{ cd "$project" && "$python" -m carbrand.pipeline.lock_merge merge '
    '"$top"/%O "$top"/%A "$top"/%B; } || '
    '{ test "$project" = . && project="" || project=" in $project"; '
    "echo %P was not merged, it is as it was on this side. "
    'Run "\\`make repro\\`, then \\`git add dvc.lock\\`$project." >&2; exit 1; }'
)
# Where the project says which files they merge.
ATTRIBUTES = ".gitattributes"
SETTINGS = {
    "merge.dvc-lock.name": "dvc.lock, entry by entry",
    "merge.dvc-lock.driver": MERGE_LOCK,
    # For histories that crossed: an entry of the version before both, never a merge of merges.
    "merge.dvc-lock.recursive": "binary",
    # What nodes write belongs to an entry of dvc.lock and stays whole: ours, as the entry.
    "merge.dvc-out.name": "a file that a node wrote, whole",
    "merge.dvc-out.driver": "true",
}


def install() -> None:
    """Set the drivers in this clone. Does nothing in a folder that Git does not track.

    What cannot be written is a note, not an error: everything but merging works without.
    """
    clone = Repository(Path())
    try:
        ours = not clone.prefix or ATTRIBUTES in clone.tracked(ATTRIBUTES)
    except UserError:  # a downloaded archive, or no Git
        return
    if not ours:  # a copy of the project that lies in somebody else's clone
        return
    try:
        for name, value in SETTINGS.items():
            if not _is_set(clone, name, value):
                clone.run("config", "--local", name, value)
    except UserError as error:
        print_note(f"note: Git was not told how to merge dvc.lock: {error}")


def _is_set(clone: Repository, name: str, value: str) -> bool:
    try:
        return clone.run("config", "--local", name) == f"{value}\n"
    except UserError:
        return False
