"""`python -m MODULE` in processes that are forked from one in which DVC is imported, not started.

DVC's imports are most of what `python -m dvc` costs. What runs in the fork is the same program:
with its own arguments, folder, environment, output and exit status, and with the modules of the
project, none of which is imported before. Not the same are its hash seed, its parent, and its name
in the list of processes: tests of signals, locks, start-up and bits start processes of their own.
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

TIMEOUT_S = 550
# With another value of one of these, a program, or what is imported already, would start otherwise.
_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "HOME", "XDG_", "TERM", "COLUMNS", "NO_COLOR")
# What DVC's commands import when they are called.
_IMPORTED = (
    *("celery.app", "configobj", "dulwich.client", "dvc.api", "dvc.dependency.param"),
    *("dvc.repo.experiments.executor.local", "dvc.repo.experiments.queue.tempdir"),
    *("dvc.repo.reproduce", "dvc.stage.run", "dvc_data.hashfile.checkout", "dvc_data.index.fetch"),
    *("dvc_render", "dvc_task.app", "kombu.transport.filesystem", "networkx", "numpy", "psutil"),
    *("pygit2", "requests", "rich.progress", "ruamel.yaml", "scmrepo.git", "sqltrie", "tqdm"),
)
# Run by `python -c`: whatever it imports is imported already in every program.
_SERVER = f"""
import atexit, gc, importlib, os, pickle, pkgutil, runpy, signal, socket, sys, threading, traceback
import dvc.cli, dvc.commands

def become(arguments, folder, environment):
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    server.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0] = ["-m", *arguments[1:]], os.getcwd()
    sys.stdout.reconfigure(line_buffering=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()

def run(module):
    try:
        runpy._run_module_as_main(module)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return (stop.code or 0) & 255
        print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    else:
        return 0
    return 1

for module in pkgutil.iter_modules(dvc.commands.__path__, "dvc.commands."):
    importlib.import_module(module.name)
for name in {_IMPORTED}:
    importlib.import_module(name)
server = socket.socket(fileno=int(sys.argv[1]))
signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
gc.disable()
gc.freeze()
while True:
    request, files, _, _ = socket.recv_fds(server, 1 << 20, 3)
    if not request:
        os._exit(0)
    child = os.fork()
    if child == 0:
        break
    for file in files:
        os.close(file)
    server.sendall(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

# As the interpreter ends, without what it clears away before the process is gone.
become(*pickle.loads(request))
status = run(pickle.loads(request)[0][0])
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)
"""


class Server:
    """The process that forks, started when it is first needed; for one program at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._there: socket.socket | None = None
        self._busy = threading.Lock()

    def run(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str] | None:
        """What `subprocess.run` gives for `[sys.executable, "-m", module, …]`.

        None where a fork would be another program, or another one runs just now.
        """
        if not hasattr(os, "fork") or _at_start(environment) != _at_start(self._environment):
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
                [sys.executable, "-c", _SERVER, str(there.fileno())],
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


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return io.TextIOWrapper(io.BytesIO(file.read())).read()
