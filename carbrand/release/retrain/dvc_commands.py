"""The DVC commands of the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.pipeline.dvc_files import read_dvc_file
from carbrand.pipeline.status import query_dvc, read_status
from carbrand.pipeline.subprocesses import run_module


@dataclass(frozen=True)
class Dvc:
    """DVC's command line in a project; its output is shown to the user."""

    project: Path

    def run(self, *command: str) -> None:
        """Run a command such as `dvc push`. Raises UserError if it fails."""
        status = run_module(self.project, *command)
        if status != 0:
            raise UserError(
                f"`{' '.join(command)}` failed with status {status}; its messages are above. "
                f"Nothing was committed or pushed to Git. Fix the problem and run this again."
            )

    def changed(self) -> set[str]:
        """Dependencies that differ from dvc.lock or are missing."""
        return {found.path for found in read_status(self.project) if not found.written}

    def has_remote(self) -> bool:
        """Whether DVC has a default remote."""
        done = query_dvc(self.project, ("dvc", "config", "core.remote"))
        return done.returncode == 0 and bool(done.stdout.strip())


def find_imported(project: Path, files: Sequence[str]) -> list[str]:
    """The .dvc files whose photos are imported, as by `dvc import-url`."""
    return [file for file in files if read_dvc_file(project / file).get("deps")]
