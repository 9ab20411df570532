"""From what a user calls a model to a file: a path, NAME@STAGE, NAME@VERSION, or a revision."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from carbrand.node.dvc_lock import DvcLock, StaleFile
from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.pipeline.dvc_settings import private_site_cache
from carbrand.pipeline.git import GitFailed, Repository
from carbrand.release.revisions import describe_known, find_commit

# Files of models that were asked for, by commit: ignored by Git and DVC, safe to delete.
KEPT = Path(".dvc/tmp/models")
LOCK = "dvc.lock"
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
            f"of a registered model. {describe_known(repository, wanted)} `git fetch --tags` gets "
            f"new tags, `dvc exp pull` experiments."
        )
    return _fetch(project, commit, model, one_line(wanted))


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


def _fetch(project: Path, commit: str, path: str, wanted: str) -> Path:
    """The file that dvc.lock of the commit names, byte by byte."""
    lock = DvcLock.parse(Repository(project).read(commit, LOCK))
    md5 = lock.md5(path)
    if md5 is None:
        raise UserError(
            f"{LOCK} of {wanted} ({commit[:12]}) names no {path}, so no run made one there. Name a "
            f"commit in which the pipeline ran."
        )
    kept = project / KEPT / f"{commit}-{path.replace('/', '-')}"
    with contextlib.suppress(StaleFile):
        lock.check(path, kept)
        return kept
    # DVC reads it in this process, when it is imported.
    os.environ.update(private_site_cache(project))
    from dvc.repo import Repo

    what = "The model" if path.endswith(SUFFIXES) else path
    name = f"{what} of {wanted} ({commit[:12]})"
    kept.parent.mkdir(parents=True, exist_ok=True)
    # A whole file or none: an interrupted copy must not pass for a model.
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        file = Path(folder) / "model.h5"
        try:
            # Not DVCFileSystem(rev=…): it looks for the project in the root of the repository only.
            with Repo(str(project)) as dvc, dvc.switch(commit):
                dvc.dvcfs.get_file(f"/{path}", str(file))
                cached = Path(dvc.cache.local.oid_to_path(md5))
        except Exception as error:  # each kind of storage has errors of its own
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise UserError(
                f"{name} could not be had: {reason}. It is in the "
                f"DVC cache or remote where it was trained: `dvc push` it there, and see that "
                f"`dvc pull` works here."
            ) from None
        _check_fetched(lock, path, file, cached, name)
        file.replace(kept)
    return kept


def _check_fetched(lock: DvcLock, path: str, file: Path, cached: Path, name: str) -> None:
    try:
        lock.check(path, file)
    except StaleFile as error:
        mend = (
            f"Delete {cached}: then `dvc pull` gets it from a remote, or `make repro` makes it."
            if cached.exists()
            else "Push it to the remote once more, from where it was trained."
        )
        raise UserError(f"{name} is damaged in DVC's storage ({error}). {mend}") from None
