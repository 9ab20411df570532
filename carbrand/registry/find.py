"""From what a user calls a model to a file: a path, NAME@STAGE, NAME@VERSION, or a revision."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from carbrand.errors import UserError
from carbrand.git import Repository
from carbrand.repro.dvc_notes import closed_notes

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
    name, at, rest = wanted.rpartition("@")
    commit = (at and _registered(project, name, rest)) or _revision(project, wanted)
    if commit is None:
        raise UserError(
            f"{wanted} is neither a file, nor a revision, nor NAME@STAGE or NAME@VERSION of a "
            f"registered model. `gto show` lists those that are; `git fetch --tags` gets new ones."
        )
    return _fetch(project, commit, model, wanted)


def in_stage(project: Path, name: str, stage: str) -> str | None:
    """The commit of the version that is in a stage, or None."""
    import gto.api
    from gto.exceptions import GTOException
    from scmrepo.exceptions import SCMError

    try:
        versions = gto.api.find_versions_in_stage(str(project), name, stage)
    except (GTOException, SCMError):
        return None
    return versions[0].commit_hexsha if versions else None


def _registered(project: Path, name: str, rest: str) -> str | None:
    if not _VERSION.fullmatch(rest):
        return in_stage(project, name, rest)
    return _revision(project, f"refs/tags/{name}@{rest}")


def _revision(project: Path, name: str) -> str | None:
    return Repository(project).find(f"{name}^{{commit}}")


def _fetch(project: Path, commit: str, model: str, wanted: str) -> Path:
    kept = project / KEPT / f"{commit}.h5"
    if kept.exists():
        return kept
    os.environ.update(closed_notes(project))  # DVC reads it in this process, when it is imported
    from dvc.api import DVCFileSystem

    kept.parent.mkdir(parents=True, exist_ok=True)
    # A whole file or none: an interrupted copy must not pass for a model.
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        file = Path(folder) / "model.h5"
        try:
            DVCFileSystem(str(project), rev=commit).get_file(model, str(file))
        except Exception as error:  # each kind of storage has errors of its own
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise UserError(
                f"The model of {wanted} ({commit[:12]}) could not be had: {reason}. It is in the "
                f"DVC cache or remote where it was trained: `dvc push` it there, and see that "
                f"`dvc pull` works here."
            ) from None
        file.replace(kept)
    return kept
