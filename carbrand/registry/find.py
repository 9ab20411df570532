"""From what a user calls a model to a file: a path, NAME@STAGE, NAME@VERSION, or a revision."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from carbrand.errors import UserError
from carbrand.git import GitFailed, Repository
from carbrand.repro.dvc_notes import closed_notes
from carbrand.revisions import find_commit, say_known
from carbrand.wording import one_line

# Files of models that were asked for, by commit: ignored by Git and DVC, safe to delete.
KEPT = Path(".dvc/tmp/models")
SUFFIXES = (".h5", ".hdf5")
_VERSION = re.compile(r"v\d+(\.\d+)*")


def find_model(wanted: str, project: Path, model: str) -> Path:
    """The file of the model: `wanted` itself where that is a file, or else fetched through DVC.

    model: where the model of a revision lies in the project. Raises UserError.
    """
    path = Path(wanted)
    if path.exists() or path.suffix in SUFFIXES:
        return path
    repository = Repository(project)
    _check_inside(repository, wanted)
    name, at, rest = wanted.rpartition("@")
    commit = (at and _registered(repository, name, rest)) or find_commit(repository, wanted)
    if commit is None:
        raise UserError(
            f"{one_line(wanted)} is neither a file, nor a revision, nor NAME@STAGE or NAME@VERSION "
            f"of a registered model. {say_known(repository, wanted)} `git fetch --tags` gets new "
            f"tags, `dvc exp pull` experiments."
        )
    return _fetch(project, commit, model, wanted)


def full_name(repository: Repository, name: str) -> str:
    """What GTO and DVC call an artifact: with the folder of dvc.yaml, `ml/cars:model`.

    Without it, where the project is the root of its repository, or where the name has one.
    """
    return f"{repository.prefix}:{name}" if repository.prefix and ":" not in name else name


def find_file(commit: str, project: Path, path: str) -> Path:
    """A file that a commit's pipeline wrote, fetched through DVC. Raises UserError."""
    return _fetch(project, commit, path, "the revision")


def in_stage(project: Path, name: str, stage: str) -> str | None:
    """The commit of the version that is in a stage, or None."""
    import gto.api
    from gto.exceptions import GTOException
    from scmrepo.exceptions import SCMError

    try:
        artifact = full_name(Repository(project), name)
        versions = gto.api.find_versions_in_stage(str(project), artifact, stage)
    except (GTOException, SCMError):
        return None
    return versions[0].commit_hexsha if versions else None


def _check_inside(repository: Repository, wanted: str) -> None:
    try:
        repository.run("rev-parse", "--git-dir")
    except GitFailed as failed:
        raise UserError(
            f"{one_line(wanted)} is no file, and there is no Git repository here to look it up in "
            f"({one_line(failed.reason)}). Name a file, or run this in a clone."
        ) from None


def _registered(repository: Repository, name: str, rest: str) -> str | None:
    if not _VERSION.fullmatch(rest):
        return in_stage(repository.project, name, rest)
    # GTO writes the `:` of a name as `=`, since Git allows no `:` in a tag.
    tag = full_name(repository, name).replace(":", "=")
    return repository.find(f"refs/tags/{tag}@{rest}^{{commit}}")


def _fetch(project: Path, commit: str, model: str, wanted: str) -> Path:
    kept = project / KEPT / f"{commit}-{model.replace('/', '-')}"
    if kept.exists():
        return kept
    os.environ.update(closed_notes(project))  # DVC reads it in this process, when it is imported
    from dvc.repo import Repo

    kept.parent.mkdir(parents=True, exist_ok=True)
    # A whole file or none: an interrupted copy must not pass for a model.
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        file = Path(folder) / "model.h5"
        try:
            # Not DVCFileSystem(rev=…): it looks for the project in the root of the repository only.
            with Repo(str(project)) as dvc, dvc.switch(commit):
                dvc.dvcfs.get_file(f"/{model}", str(file))
        except Exception as error:  # each kind of storage has errors of its own
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            what = "The model" if model.endswith(SUFFIXES) else model
            raise UserError(
                f"{what} of {wanted} ({commit[:12]}) could not be had: {reason}. It is in the "
                f"DVC cache or remote where it was trained: `dvc push` it there, and see that "
                f"`dvc pull` works here."
            ) from None
        file.replace(kept)
    return kept
