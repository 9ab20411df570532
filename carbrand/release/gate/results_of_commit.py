"""Whether the results of a commit are those of its params: somebody may have committed no run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carbrand.node.dvc_lock import DvcLock, changed_params
from carbrand.node.errors import UserError
from carbrand.node.params import read_file
from carbrand.node.wording import one_line
from carbrand.pipeline.status import in_a_few_words
from carbrand.release.gate.revision import Revision, take_out
from carbrand.release.gate.side import GateFiles


def check_results(project: Path, revision: Revision, files: GateFiles, params: bool = True) -> None:
    """Raise UserError where dvc.lock of the commit contradicts itself or the commit's params.

    Only what `files.node` depends on counts: figures are not compared. params: whether these are
    looked at. A commit without a dvc.lock that can be read passes: there is nothing to contradict.
    """
    with tempfile.TemporaryDirectory() as folder:
        take_out(project, revision, (files.lock, files.params), Path(folder))
        lock = DvcLock.read(Path(folder) / files.lock).upstream(files.node)
        if not lock.nodes:
            return
        stale = lock.inconsistent_paths()
        if params and (Path(folder) / files.params).is_file():
            content = _read_params(Path(folder), files.params, revision)
            stale += _changed_params(lock.nodes, files.params, content)
    if stale:
        raise UserError(
            f"The results in {revision} are not those of its params: "
            f"{in_a_few_words(map(one_line, stale))} changed after the run. Give --against a "
            f"commit of a whole run, or check it out, `make repro`, and commit that."
        )


def _read_params(folder: Path, file: Path, revision: Revision) -> Mapping[str, Any]:
    try:
        return read_file(folder / file)
    except UserError:
        raise UserError(
            f"{file.as_posix()} in {revision} is nothing that DVC could read. Give --against a "
            f"commit of a whole run."
        ) from None


def _changed_params(
    nodes: Mapping[str, Any], file: Path, content: Mapping[str, Any]
) -> Iterator[str]:
    for node in nodes.values():
        recorded = node.get("params", {}).get(file.as_posix(), {})
        yield from (f"{file.as_posix()}: {key}" for key in changed_params(recorded, content))
