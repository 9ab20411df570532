"""Commands that are awaited to their end, also when this process is told to stop."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import exit_status
from carbrand.node.processes import Stopped, raise_on_signals, restore_signals
from carbrand.node.terminal import print_note
from carbrand.pipeline.dvc_settings import environment

_GRACE_S = 5.0


@dataclass(frozen=True)
class Completed:
    """The exit status of a command, and whether Ctrl-C was pressed while it ran."""

    status: int
    interrupted: bool


def stoppable_exit_status(main: Callable[[], int | None]) -> int:
    """The exit status of `main`, which a signal ends by raising Stopped: so it can clean up."""
    try:
        raise_on_signals()
        status = exit_status(main)
        restore_signals()
    except Stopped as stopped:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print_note("stopped")
        status = stopped.exit_status
    return status


def run_to_its_end(
    command: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    end: Callable[[subprocess.Popen[bytes]], object],
) -> Completed:
    """Run a command in a folder.

    Ctrl-C reaches the command as well: its end is awaited. SIGTERM reaches this process alone:
    `end` ends the command, and Stopped is raised.
    """
    process = subprocess.Popen(command, cwd=folder, env=env)
    interrupted = False
    while True:
        try:
            return Completed(process.wait(), interrupted)
        except KeyboardInterrupt:
            interrupted = True
        except Stopped:
            end(process)
            raise


def run_module(project: Path, *words: str) -> int:
    """The exit status of `python -m words…` in a project, its output shown to the user.

    Raises KeyboardInterrupt where a signal stopped it, as Ctrl-C does.
    """
    sys.stdout.flush()
    command = [sys.executable, "-m", *words]
    done = run_to_its_end(command, project, environment(project), terminate)
    if done.interrupted or done.status < 0:
        raise KeyboardInterrupt
    return done.status


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, and wait while the process puts back what it has to."""
    process.terminate()
    process.wait()


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill DVC, so that it starts no more nodes, then terminate its nodes; wait for all of them."""
    import psutil

    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    process.kill()
    process.wait()
    for child in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    _, alive = psutil.wait_procs(below, timeout=_GRACE_S)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(alive, timeout=_GRACE_S)
