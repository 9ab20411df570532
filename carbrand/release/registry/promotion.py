"""Registering a model as a version and assigning it to a stage, by GTO's Git tags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock
from carbrand.pipeline.git import Repository
from carbrand.release.registry.find import in_stage


@dataclass(frozen=True)
class Promotion:
    """A version in a stage, and the new tags; none if it was there before."""

    version: str
    stage: str
    tags: tuple[str, ...]


def same_model(repository: Repository, one: str, other: str, model: str) -> bool:
    """Whether the file `model` is the same in two commits, by their dvc.lock."""
    hashes = {_hash(repository, commit, model) for commit in (one, other)}
    return len(hashes) == 1 and None not in hashes


def check_model(repository: Repository, commit: str, model: str) -> None:
    """Raise UserError if the commit's dvc.lock has no file `model`."""
    if _hash(repository, commit, model) is None:
        raise UserError(
            f"dvc.lock of {commit[:12]} has no {model}, so there is no model to promote. Run "
            f"`make repro` and commit dvc.lock."
        )


def promote(project: Path, name: str, stage: str, commit: str) -> Promotion:
    """Register the model of `commit` as the next version, and assign it to the stage.

    name: the full name. Idempotent. Raises UserError.
    """
    import gto.api
    from gto.exceptions import GTOException

    try:
        version = _version_of(project, name, commit)
        tags = []
        if version is None:
            gto.api.register(str(project), name, commit)
            version = _version_of(project, name, commit)
            tags.append(f"{name}@{version}")
        if in_stage(project, name, stage) != commit:
            given = gto.api.assign(str(project), name, stage, version=version)
            tags.append(given.tag)
    except GTOException as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{name} could not be assigned to {stage}: {reason}") from None
    return Promotion(str(version), stage, tuple(tags))


def _version_of(project: Path, name: str, commit: str) -> str | None:
    """The newest registered version of the commit's model, or None."""
    import gto.api
    from gto.exceptions import ArtifactNotFound

    try:
        versions = gto.api.show(str(project), name)
    except ArtifactNotFound:
        return None
    found = [v["version"] for v in versions if v["commit_hexsha"] == commit]
    return found[0] if found else None


def _hash(repository: Repository, commit: str, model: str) -> str | None:
    return DvcLock.parse(repository.read(commit, "dvc.lock")).output_md5(model)
