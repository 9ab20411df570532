"""`python -m MODULE` in processes that are forked from one in which DVC is imported, not started.

Imports are most of what `python -m dvc` and small nodes cost. What runs in the fork is the same
program: with its own arguments, folder, environment, output and exit status, and with the modules
of the project, none of which is imported before. So are the programs that it starts itself: `dvc`,
and the nodes. Not the same are its hash seed, its parent, and its name in the list of processes:
tests of signals, locks, start-up and bits start processes of their own.
"""

from __future__ import annotations

import atexit
import io
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.support.fork_server import at_start

TIMEOUT_S = 550
_SERVER = Path(__file__).with_name("fork_server.py")


class Server:
    """The process that forks, started when it is first needed; for one program at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._there: socket.socket | None = None
        self._busy = threading.Lock()

    def starts_like(self, environment: Mapping[str, str]) -> bool:
        """Whether a program of this environment would start as one of this server's."""
        return at_start(environment) == at_start(self._environment)

    def run(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str] | None:
        """What `subprocess.run` gives for `[sys.executable, "-m", module, …]`.

        None where a fork would be another program, or another one runs just now.
        """
        if not hasattr(os, "fork") or not self.starts_like(environment):
            return None
        if not self._busy.acquire(blocking=False):
            return None
        try:
            return self._run(command, pickle.dumps((command[2:], str(cwd), dict(environment))))
        finally:
            self._busy.release()

    def _run(self, command: Sequence[str], request: bytes) -> subprocess.CompletedProcess[str]:
        there = self._there = self._there or self._start()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(there, [request], [0, out.fileno(), err.fileno()])
            status = there.recv(100)
            assert status, "the process that forks has ended"
            said = [_read(out), _read(err)]
        return subprocess.CompletedProcess(list(command), int(status), *said)

    def _start(self) -> socket.socket:
        here, there = socket.socketpair()
        with there:
            process = subprocess.Popen(
                [sys.executable, str(_SERVER), str(there.fileno())],
                cwd=tempfile.gettempdir(),
                env=self._environment,
                pass_fds=[there.fileno()],
            )

        def end() -> None:
            here.close()
            process.wait()

        atexit.register(end)
        here.settimeout(TIMEOUT_S)
        return here


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return io.TextIOWrapper(io.BytesIO(file.read())).read()
