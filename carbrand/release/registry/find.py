"""Find the file of a model given by path, NAME@STAGE, NAME@VERSION, or revision."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock, StaleFile
from carbrand.node.wording import one_line
from carbrand.pipeline.dvc_settings import private_site_cache_set
from carbrand.pipeline.git import GitFailed, Repository
from carbrand.release.revisions import describe_known, find_commit

# Fetched files by commit: ignored by Git and DVC, safe to delete.
FETCHED = Path(".dvc/tmp/models")
LOCK = "dvc.lock"
# Where a revision has its model that is older than the node `finetune`.
FORMER = {"artifacts/finetune/model.h5": "artifacts/train/model.h5"}
SUFFIXES = (".h5", ".hdf5")
_VERSION = re.compile(r"v\d+(\.\d+)*")


def find_model(wanted: str, project: Path, model: str) -> Path:
    """The file of the model: `wanted` itself if it is a file, otherwise fetched by DVC.

    model: the path of a revision's model in the project. Raises UserError.
    """
    path = Path(wanted)
    if path.exists() or path.suffix in SUFFIXES:
        return path
    repository = Repository(project)
    _check_inside(repository, wanted)
    name, at, stage = wanted.rpartition("@")
    commit = (at and _find_registered(repository, name, stage)) or find_commit(repository, wanted)
    if commit is None:
        raise UserError(
            f"{one_line(wanted)} is not a file, a revision, or NAME@STAGE or NAME@VERSION of a "
            f"registered model. {describe_known(repository, wanted)} `git fetch --tags` fetches "
            f"new tags, `dvc exp pull` experiments."
        )
    return _fetch(project, commit, model, one_line(wanted))


def full_name(repository: Repository, name: str) -> str:
    """The full name of an artifact in GTO and DVC, with the folder of dvc.yaml: `ml/cars:model`.

    Just the name if the project is the root of its repository, or if the name has a folder already.
    """
    return f"{repository.prefix}:{name}" if repository.prefix and ":" not in name else name


def find_file(commit: str, path: Path) -> Path:
    """An output of a commit's pipeline here, fetched by DVC. Raises UserError."""
    return _fetch(Path(), commit, path.as_posix(), "the revision")


def in_stage(project: Path, name: str, stage: str) -> str | None:
    """The commit of the version in a stage, or None."""
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
            f"{one_line(wanted)} is not a file, and there is no Git repository here to find it in "
            f"({one_line(failed.reason)}). Give a file, or run this in a clone."
        ) from None


def _find_registered(repository: Repository, name: str, stage: str) -> str | None:
    if not _VERSION.fullmatch(stage):
        return in_stage(repository.project, name, stage)
    # GTO replaces `:` in a name by `=`, since Git allows no `:` in a tag.
    tag = full_name(repository, name).replace(":", "=")
    return repository.find(f"refs/tags/{tag}@{stage}^{{commit}}")


def _fetch(project: Path, commit: str, path: str, wanted: str) -> Path:
    """The file that the commit's dvc.lock names, checked by its MD5."""
    lock = DvcLock.parse(Repository(project).read(commit, LOCK))
    former = FORMER.get(path)
    if former and lock.md5(former) and "finetune" not in lock.outputs():
        path = former
    md5 = lock.md5(path)
    if md5 is None:
        raise UserError(
            f"{LOCK} of {wanted} ({commit[:12]}) has no {path}. Give a commit in "
            f"which the pipeline ran."
        )
    fetched = project / FETCHED / f"{commit}-{path.replace('/', '-')}"
    with contextlib.suppress(StaleFile):
        lock.check(path, fetched)
        return fetched
    from dvc.repo import Repo

    what = "The model" if path.endswith(SUFFIXES) else path
    name = f"{what} of {wanted} ({commit[:12]})"
    fetched.parent.mkdir(parents=True, exist_ok=True)
    # Atomic, so that an interrupted copy is not taken for a model.
    with (
        private_site_cache_set(project),
        tempfile.TemporaryDirectory(dir=fetched.parent) as folder,
    ):
        file = Path(folder) / "model.h5"
        try:
            # Not DVCFileSystem(rev=…), which finds the project only in the repository's root.
            with Repo(str(project)) as dvc, dvc.switch(commit):
                dvc.dvcfs.get_file(f"/{path}", str(file))
                cached = Path(dvc.cache.local.oid_to_path(md5))
        except Exception as error:  # each kind of storage has errors of its own
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise UserError(
                f"{name} could not be fetched: {reason}. Run `dvc push` where it was trained, and "
                f"make sure that `dvc pull` works here."
            ) from None
        _check_fetched(lock, path, file, cached, name)
        file.replace(fetched)
    return fetched


def _check_fetched(lock: DvcLock, path: str, file: Path, cached: Path, name: str) -> None:
    try:
        lock.check(path, file)
    except StaleFile as error:
        mend = (
            f"Delete {cached}, then run `dvc pull` or `make repro`."
            if cached.exists()
            else "Push it to the remote again from where it was trained."
        )
        raise UserError(f"{name} is damaged in DVC's storage ({error}). {mend}") from None
