"""Reproducibility: whether Git or DVC tracks every file that a run read, in its present state."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import is_inside
from carbrand.node.params import read_file
from carbrand.node.wording import one_line
from carbrand.pipeline.dvc_files import PARAMS, read_dvc_file, read_inputs
from carbrand.pipeline.git import Repository
from carbrand.pipeline.healing import find_crlf
from carbrand.pipeline.status import in_a_few_words, read_status

# Why a file is tracked by neither, with what mends it; {} is the files, or the folder of them.
_UNTRACKED = "`git add {}`"
_IGNORED = "which Git ignores: `dvc add {}`, or `git add -f {}`"
_OTHERWISE = "of which DVC keeps another state: `dvc add {}`"
_OUTSIDE = "outside of the project: put it into weights/ and `dvc add` it there"
_LINK = "a link that leads to what neither keeps: put the file itself there, and `git add {}`"
_CRLF = "with line ends CRLF here and LF in Git: `make repro` mends that"


@dataclass(frozen=True)
class Untracked:
    """A file or folder that a node reads, and neither Git nor DVC tracks in its present state."""

    path: str
    why: str


def check_tracked(project: Path, committed: Sequence[str] = ()) -> None:
    """Raise UserError, with the commands that mend it, unless all that nodes read is tracked.

    committed: folders of which new files that Git does not ignore are about to be committed.
    """
    untracked = [
        found
        for found in find_untracked(project)
        if not (found.why == _UNTRACKED and is_inside(found.path, committed))
    ]
    if untracked:
        by_reason: dict[str, list[str]] = {}
        for found in untracked:
            by_reason.setdefault(found.why, []).append(found.path)
        raise UserError(
            f"{len(untracked):,} of the files that the run reads are in neither Git nor DVC, so "
            f"nobody else could make this model again: "
            f"{'; '.join(_describe(why, paths) for why, paths in by_reason.items())}. Then commit."
        )


def find_untracked(project: Path) -> list[Untracked]:
    """All of them, by path. What nodes write, and what .dvcignore names, does not count."""
    repository, inputs = Repository(project), _inputs(project)
    read = [path for path in inputs if not path.startswith("../")]
    tracked = set(_listed(repository, "--cached", *read))
    there = _listed(repository, "--others", "--exclude-per-directory=.dvcignore", *read)
    ignored = set(
        _listed(repository, "--others", "--ignored", "--exclude-standard", *read)
    ).intersection(there)
    beside = [f"{path}.dvc" for path in read if (project / f"{path}.dvc").is_file()]
    own = [*repository.tracked("*.dvc"), *(path for path in there if path.endswith(".dvc"))]
    dvc_files = sorted({*own, *beside})
    by_dvc = [place for file in dvc_files for place in _places(project, file)]
    fresh = [path for path in there if not is_inside(path, by_dvc)]
    fresh += [path for path in beside if path not in {*there, *own}]
    found = [Untracked(path, _IGNORED if path in ignored else _UNTRACKED) for path in fresh]
    found += [Untracked(path, _OUTSIDE) for path in inputs if path not in read]
    found += [
        Untracked(path, _OTHERWISE)
        for path in _kept_otherwise(project, dvc_files)
        if is_inside(path, read) or any(is_inside(place, [path]) for place in read)
    ]
    found += [Untracked(path, _CRLF) for path in find_crlf(project)]
    kept = {*tracked, *there} - {untracked.path for untracked in found}
    found += [
        Untracked(path, _LINK)
        for path in tracked
        if (project / path).is_symlink() and not _leads_to(project, path, kept, by_dvc)
    ]
    return sorted(found, key=lambda untracked: untracked.path)


def _inputs(project: Path) -> list[str]:
    """What a run reads that none of its nodes writes, a file of weights outside weights/ too."""
    weights = _weights(project)
    return sorted({*read_inputs(project), *([weights] if weights else [])})


def _weights(project: Path) -> str | None:
    """The file of weights that params.yaml names; DVC watches only the folder for them."""
    named = (read_file(project / PARAMS).get("features") or {}).get("weights")
    if not isinstance(named, str) or not (project / named).is_file():
        return None
    return Path(os.path.relpath(project / named, project)).as_posix()


def _listed(repository: Repository, *arguments: str) -> list[str]:
    """Files as `git ls-files` lists them; what does not begin with a dash is a path."""
    options = [argument for argument in arguments if argument.startswith("-")]
    paths = [f":(literal){argument}" for argument in arguments if not argument.startswith("-")]
    return repository.entries("ls-files", "-z", *options, "--", *paths)


def _places(project: Path, file: str) -> Iterable[str]:
    """The paths that a .dvc file tracks."""
    content = read_dvc_file(project / file)
    folder = PurePosixPath(file).parent / str(content.get("wdir", "."))
    for out in content.get("outs") or ():
        yield (folder / str(out["path"])).as_posix()


def _kept_otherwise(project: Path, dvc_files: Sequence[str]) -> list[str]:
    """Paths in another state than their .dvc files track; missing ones do not count."""
    if not dvc_files:
        return []
    differences = read_status(project, dvc_files)
    return [found.path for found in differences if found.written and found.state == "modified"]


def _leads_to(project: Path, link: str, kept: set[str], by_dvc: Sequence[str]) -> bool:
    """Whether a link that Git keeps leads to what is kept as well."""
    target = (project / link).resolve()
    try:
        place = target.relative_to(project.resolve()).as_posix()
    except ValueError:
        return False
    return (
        is_inside(place, by_dvc) or place in kept or any(is_inside(path, [place]) for path in kept)
    )


def _describe(why: str, paths: Sequence[str]) -> str:
    """The first few files, and the command for all of them."""
    folders = sorted({"/".join(path.split("/")[:2]) if "/" in path else path for path in paths})
    named = " ".join(
        shlex.quote(one_line(path)) for path in (paths if why == _OTHERWISE else folders)
    )
    return f"{in_a_few_words(map(one_line, paths))} ({why.format(*[named] * 2)})"
