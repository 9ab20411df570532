"""A run of the pipeline that a test may kill, and what a run left behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.conftest import SET_BY_TESTS

NODES = ("validate", "features", "train", "finetune", "evaluate", "plot")
DEADLINE_S = 120.0
# Params with which the node `features` takes long.
LONG = {
    "features__backbone": "efficientnet_lite0",
    "features__size_px": 448,
    "features__views": 40,
}
THOROUGH = os.environ.get("TORTURE") == "1"
# `LIMITED N MODULE …` runs a module for which the disk is full after N bytes of a file.
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
# Tests that only `make torture` has the time for. Skipped, they let no project be made.
in_torture = pytest.mark.skipif(not THOROUGH, reason="make torture")


def nodes_of(project: Path) -> dict[str, list[str]]:
    """The command of each node, by its name, in order."""
    nodes = yaml.safe_load((project / "dvc.yaml").read_text("utf-8"))["stages"]
    return {name: node["cmd"].split() for name, node in nodes.items()}


def bits(project: Path) -> dict[str, str]:
    """Every artifact with the hash of its bytes, and dvc.lock."""
    files = [path for path in (project / "artifacts").rglob("*") if path.is_file()]
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([*files, project / "dvc.lock"])
        if path.name != ".gitignore"
    }


def forget_results(project: Path) -> None:
    """As in a new clone that has no remote."""
    for folder in (".dvc/cache", ".dvc/tmp", ".vectors", ".training"):
        shutil.rmtree(project / folder, ignore_errors=True)
    for node in nodes_of(project):
        forget(project, node)
    (project / "dvc.lock").unlink()


def forget(project: Path, node: str) -> None:
    """What the node wrote is gone."""
    for path in (project / "artifacts" / node).iterdir():
        if path.name != ".gitignore":
            path.unlink()


def leftovers(project: Path) -> list[str]:
    """What a run needs only while it lasts."""
    found = [*project.glob("artifacts/.*.unfinished"), *project.glob(".dvc/tmp/kept-*")]
    return [
        path.relative_to(project).as_posix() for path in (*found, *project.glob(".*.unfinished"))
    ]


def await_that(condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    """Wait until something is true. Fails where it does not get so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for: {what}"
        time.sleep(0.005)


class Run:
    """`python -m stages …`, or another command, in a session of its own."""

    def __init__(self, project: Path, *arguments: str, command: tuple[str, ...] = ()) -> None:
        self.project = project
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        clean = {name: value for name, value in os.environ.items() if name not in SET_BY_TESTS}
        # Files, for a pipe would be kept open by whatever is left behind.
        self.output = project.with_name(f"{project.name}-{time.monotonic_ns()}.txt")
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                command or (sys.executable, "-m", "stages", *arguments),
                cwd=project,
                env=clean | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def end(self) -> int:
        """Wait for its end: the status."""
        return self.process.wait(DEADLINE_S)

    def said(self) -> str:
        """What it printed, on either stream."""
        return self.output.read_text("utf-8", "replace")

    def living(self) -> Iterator[psutil.Process]:
        """All processes of the session that are there."""
        for pid in psutil.pids():
            try:
                if os.getsid(pid) != self.process.pid:  # soon known, of hundreds at every look
                    continue
                process = psutil.Process(pid)
                if process.status() != "zombie":
                    yield process
            except (psutil.Error, ProcessLookupError):
                continue

    def find(self, module: str) -> psutil.Process | None:
        """The process that runs `python -m module`."""
        for process in self.living():
            try:
                if module in process.cmdline():
                    return process
            except psutil.Error:
                continue
        return None

    def await_process(self, module: str) -> psutil.Process:
        """The same, as soon as it is there."""
        found: list[psutil.Process] = []

        def there() -> bool:
            process = self.find(module)
            found.extend([process] if process else [])
            return bool(found) or self.process.poll() is not None

        await_that(there, f"{module} to start")
        assert found, f"{module} never ran: {self.said()}"
        return found[0]

    def kill(self, way: str, node: psutil.Process) -> None:
        """End a part of it in one of WAYS."""
        if way == "stages":
            self.process.send_signal(signal.SIGTERM)
        elif way == "group":
            os.killpg(self.process.pid, signal.SIGKILL)
        elif way == "dvc":
            dvc = self.find("carbrand.pipeline.dvc") or self.find("dvc")
            if dvc:
                dvc.kill()
        elif node.is_running():
            node.kill()

    def await_nothing_left(self, seconds: float = 20.0) -> float:
        """Wait until no process is left, which must be soon. The seconds it took."""
        start = time.monotonic()
        await_that(
            lambda: self.process.poll() is not None and not list(self.living()),
            "no process to be left",
            seconds,
        )
        return time.monotonic() - start


# SIGKILL for the node, for DVC, for all at once; SIGTERM for `python -m stages`.
WAYS = ("stage", "dvc", "group", "stages")
