"""What the loop asks of DVC."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.pipeline.dvc_files import read_dvc_file
from carbrand.pipeline.dvc_settings import environment
from carbrand.pipeline.status import query_dvc, read_status
from carbrand.pipeline.subprocesses import run_to_its_end, terminate


@dataclass(frozen=True)
class Dvc:
    """DVC in a project, through its command line; what it prints is shown to the user."""

    project: Path

    def run(self, *command: str) -> None:
        """A command such as `dvc push`, to its end. Raises UserError where it fails."""
        sys.stdout.flush()
        done = run_to_its_end(
            [sys.executable, "-m", *command], self.project, environment(self.project), terminate
        )
        if done.interrupted or done.status < 0:  # stopped by a signal, as by Ctrl-C
            raise KeyboardInterrupt
        if done.status != 0:
            raise UserError(
                f"`{' '.join(command)}` failed with status {done.status}: what it says is above. "
                f"Nothing was committed or pushed to Git; mend it and run this again."
            )

    def changed(self) -> set[str]:
        """What nodes depend on and that is not as dvc.lock says; also what is not here."""
        return {found.path for found in read_status(self.project) if not found.written}

    def has_remote(self) -> bool:
        """Whether there is a default remote to push to and to pull from."""
        done = query_dvc(self.project, ("dvc", "config", "core.remote"))
        return done.returncode == 0 and bool(done.stdout.strip())


def imported(project: Path, files: Sequence[str]) -> list[str]:
    """Those of the .dvc files whose photos come from somewhere else, by `dvc import-url` or so."""
    return [file for file in files if read_dvc_file(project / file).get("deps")]
