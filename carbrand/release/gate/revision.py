"""A Git revision: its commit, its files, and whether its results belong to its params."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock, changed_params
from carbrand.node.params import read_file
from carbrand.node.wording import one_line
from carbrand.pipeline.git import GitFailed, Repository
from carbrand.pipeline.status import in_a_few_words
from carbrand.release.gate.gate_params import GateFiles
from carbrand.release.revisions import describe_known, find_commit

# The first that exists is the default.
MAIN_BRANCHES = ("main", "origin/main", "master", "origin/master")


@dataclass(frozen=True)
class Revision:
    """A revision's name, as the user gave it, and its commit."""

    name: str
    commit: str

    def __str__(self) -> str:
        """`main (3f2a9c1)`."""
        return f"{one_line(self.name)} ({self.commit[:7]})"


def find_revision(project: Path, name: str | None) -> Revision:
    """The revision `name`, by default the main branch. Raises UserError if there is none."""
    repository = Repository(project)
    _check_inside(repository)
    if name is not None:
        commit = find_commit(repository, name)
        if commit is None:
            raise UserError(
                f"{one_line(name)!r} is not a commit or experiment of this repository. "
                f"{describe_known(repository, name)} In a shallow clone, run `git fetch "
                f"--unshallow`; `dvc exp pull` fetches experiments."
            )
        return Revision(name, commit)
    for branch in MAIN_BRANCHES:  # not a tag of that name
        path = f"refs/{'remotes' if '/' in branch else 'heads'}/{branch}"
        commit = repository.find(f"{path}^{{commit}}")
        if commit:
            return Revision(branch, commit)
    raise UserError(
        f"There is no branch {', '.join(MAIN_BRANCHES[:-1])} or {MAIN_BRANCHES[-1]}. "
        f"Give --against REV: a branch, tag, commit or experiment to compare with."
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
        f"{repository.project.resolve()} is not in a readable Git repository ({reason}), so there "
        f"is no model to compare with. Run this in a clone."
    )


def extract_files(project: Path, revision: Revision, paths: Iterable[Path], folder: Path) -> None:
    """Copy the revision's files of `paths`, relative to the project, to `folder`.

    Byte by byte, without Git's filters and conversions. Files that it does not have are skipped.
    """
    repository = Repository(project)
    for path in paths:
        content = repository.read(revision.commit, path.as_posix())
        if content is not None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def check_results(
    project: Path, revision: Revision, files: GateFiles, check_params: bool = True
) -> None:
    """Raise UserError if the commit's dvc.lock is inconsistent or contradicts its params.

    Only nodes that `files.node` depends on are checked. Without a readable dvc.lock it passes.
    """
    with tempfile.TemporaryDirectory() as folder:
        extract_files(project, revision, (files.lock, files.params), Path(folder))
        lock = DvcLock.read(Path(folder) / files.lock).upstream(files.node)
        if not lock.nodes:
            return
        stale = lock.inconsistent_paths()
        if check_params and (Path(folder) / files.params).is_file():
            content = _read_params(Path(folder), files.params, revision)
            stale += _changed_params(lock.nodes, files.params, content)
    if stale:
        raise UserError(
            f"The results in {revision} are not those of its params: "
            f"{in_a_few_words(map(one_line, stale))} changed after the run. Give --against a "
            f"commit of a complete run, or check it out, run `make repro`, and commit the results."
        )


def _read_params(folder: Path, file: Path, revision: Revision) -> Mapping[str, Any]:
    try:
        return read_file(folder / file)
    except UserError:
        raise UserError(
            f"{file.as_posix()} in {revision} cannot be parsed. Give --against a commit of a "
            f"complete run."
        ) from None


def _changed_params(
    nodes: Mapping[str, Any], file: Path, content: Mapping[str, Any]
) -> Iterator[str]:
    for node in nodes.values():
        recorded = node.get("params", {}).get(file.as_posix(), {})
        yield from (f"{file.as_posix()}: {key}" for key in changed_params(recorded, content))
