"""Files of a Git revision, taken out byte by byte, whatever Git is configured to make of them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from carbrand.errors import UserError
from carbrand.git import Repository
from carbrand.wording import one_line

# In this order; the first that exists is what a new model has to measure up to.
MAIN_BRANCHES = ("main", "origin/main", "master", "origin/master")


@dataclass(frozen=True)
class Revision:
    """A revision as the user said it, and the commit that it is."""

    name: str
    commit: str

    def __str__(self) -> str:
        """`main (3f2a9c1)`."""
        return f"{one_line(self.name)} ({self.commit[:7]})"


def find_revision(project: Path, name: str | None) -> Revision:
    """The commit `name`, or without one the main branch. Raises UserError where there is none."""
    inside = _git(project, "rev-parse", "--is-inside-work-tree")
    if inside.stdout.strip() != b"true":
        raise UserError(
            f"{project.resolve()} is in no Git repository that can be read "
            f"({_first_line(inside.stderr)}), so there is no model to compare with. "
            f"Run this in a clone."
        )
    for candidate in MAIN_BRANCHES if name is None else (name,):
        commit = _find_commit(project, candidate, branch=name is None)
        if commit:
            return Revision(candidate, commit)
    if name is None:
        raise UserError(
            f"There is no branch {', '.join(MAIN_BRANCHES[:-1])} or {MAIN_BRANCHES[-1]}. "
            f"Say what to compare with: --against REV, a branch, tag or commit."
        )
    raise UserError(
        f"{one_line(name)!r} is no commit of this repository. Give --against a branch, tag or "
        f"commit that `git log` knows; a shallow clone lacks most: `git fetch --unshallow`."
    )


def _find_commit(project: Path, name: str, branch: bool) -> str | None:
    if branch:  # not a tag of that name
        name = f"refs/{'remotes' if '/' in name else 'heads'}/{name}"
    # No revision begins with a dash: Git would take it for an option.
    if name.startswith("-") or "\0" in name:
        return None
    found = _git(project, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").stdout
    commit = found.decode("ascii", "replace").strip()
    return commit if re.fullmatch(r"[0-9a-f]{40,64}", commit) else None


def take_out(project: Path, revision: Revision, paths: Iterable[Path], folder: Path) -> None:
    """Copy those of `paths`, relative to the project, that the revision has, into `folder`.

    The bytes that Git keeps: no filter, text conversion or diff driver has a say.
    """
    repository = Repository(project)
    for path in paths:
        content = repository.read(revision.commit, path.as_posix())
        if content is not None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def _git(project: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=project,
            # A partial clone may fetch the file now: a prompt would wait for ever.
            env=os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UserError(
            "git is not installed, and the model to compare with is in Git. Install it."
        ) from None


def _first_line(text: bytes) -> str:
    return one_line((text.decode("utf-8", "replace").splitlines() or [""])[0])
