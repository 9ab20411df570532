"""A command that is awaited to its end, also when this process is told to stop."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from carbrand.node.processes import Stopped


def run_to_its_end(
    command: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    end: Callable[[subprocess.Popen[bytes]], object],
) -> int:
    """The exit status of a command that is run in a folder.

    Ctrl-C reaches it as well: its end is awaited, and then KeyboardInterrupt is raised, whatever
    its status. SIGTERM reaches this process alone: `end` ends the command, and Stopped goes on.
    """
    process = subprocess.Popen(command, cwd=folder, env=env)
    interrupted = False
    while True:
        try:
            status = process.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
        except Stopped:
            end(process)
            raise
    if interrupted:
        raise KeyboardInterrupt
    return status
