"""Files of a Git revision, taken out byte by byte, whatever Git is configured to make of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.pipeline.git import GitFailed, Repository
from carbrand.release.revisions import describe_known, find_commit

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
    repository = Repository(project)
    _check_inside(repository)
    if name is not None:
        commit = find_commit(repository, name)
        if commit is None:
            raise UserError(
                f"{one_line(name)!r} is no commit of this repository, and no experiment. "
                f"{describe_known(repository, name)} A shallow clone lacks most: "
                f"`git fetch --unshallow`; `dvc exp pull` gets experiments."
            )
        return Revision(name, commit)
    for branch in MAIN_BRANCHES:  # not a tag of that name
        path = f"refs/{'remotes' if '/' in branch else 'heads'}/{branch}"
        commit = repository.find(f"{path}^{{commit}}")
        if commit:
            return Revision(branch, commit)
    raise UserError(
        f"There is no branch {', '.join(MAIN_BRANCHES[:-1])} or {MAIN_BRANCHES[-1]}. "
        f"Say what to compare with: --against REV, a branch, tag, commit or experiment."
    )


def _check_inside(repository: Repository) -> None:
    """Raise UserError unless the project is in a working tree that Git can read."""
    reason = "it has no working tree"
    try:
        if repository.run("rev-parse", "--is-inside-work-tree").strip() == "true":
            return
    except GitFailed as failed:
        reason = one_line(failed.reason)
    raise UserError(
        f"{repository.project.resolve()} is in no Git repository that can be read ({reason}), so "
        f"there is no model to compare with. Run this in a clone."
    )


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
