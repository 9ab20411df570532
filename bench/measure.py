"""What a command costs, as a whole process with everything it starts; and where to run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from carbrand.node.files.dvc_yaml import parse_yaml
from carbrand.pipeline.dvc_settings import this_python_first

ROOT = Path(__file__).parent.parent
PIPELINE = (sys.executable, "-m", "stages")

# Looking at a family of processes takes milliseconds of the cores that are being measured.
_LOOK_EVERY_S = 0.2
# Linux counts the peak of a process in KiB, macOS in bytes.
_PEAKS_PER_MB = 1 << 20 if sys.platform == "darwin" else 1 << 10


@dataclass(frozen=True)
class Cost:
    """Of a command that ended well.

    `cpu_s` is user and system time of the process and all that it started. `peak_mb` is the most
    memory of its largest process, and no less than what the process that measures holds (Linux
    counts that in); `family_mb` that of all at once, looked at every 0.2 s, with memory that
    processes share counted in each.
    """

    seconds: float
    cpu_s: float
    peak_mb: int
    family_mb: int
    stdout: str


def copy_project(target: Path) -> None:
    """The project as it would be in a new clone or archive, with the photos that are here now."""
    made_here = shutil.ignore_patterns(
        *(".venv", ".git", "artifacts", "dvc.lock", "__pycache__", ".*_cache"),
        *("cache", "tmp", "config.local", "dvc_plots", ".vectors", ".training", ".made_by"),
    )
    shutil.copytree(ROOT, target, ignore=made_here)


def edit_section(project: Path, section: str, values: Mapping[str, object]) -> None:
    """Set values of a section of the project's params.yaml; its comments are lost."""
    file = project / "params.yaml"
    params = parse_yaml(file.read_text("utf-8"))
    params[section] |= values
    file.write_text(yaml.safe_dump(params), "utf-8")


def measure(
    command: Sequence[str], cwd: Path, *, env: Mapping[str, str] | None = None, quiet: bool = False
) -> Cost:
    """Run `command` in `cwd`, with this Python first on PATH.

    `quiet` holds its stderr back unless it fails. Raises SystemExit where it does.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdout=out,
            stderr=err if quiet else None,
            env=os.environ | {"PATH": this_python_first()} | dict(env or {}),
        )
        watch = _Watch(process.pid)
        # Counts what its children used as well, once they have been waited for.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        family_mb = watch.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            err.seek(0)
            sys.stderr.write(err.read())
            what = " ".join(Path(word).name if os.sep in word else word for word in command)
            raise SystemExit(f"`{what}` failed with status {process.returncode}")
        out.seek(0)
        peak_mb = usage.ru_maxrss // _PEAKS_PER_MB
        cpu_s = usage.ru_utime + usage.ru_stime
        return Cost(seconds, cpu_s, peak_mb, max(peak_mb, family_mb), out.read())


class _Watch:
    """Looks at a process and its descendants until it is told to stop."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._most_mb = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The most memory in MB that they had together at any look."""
        self._over.set()
        self._thread.join()
        return self._most_mb

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self._most_mb = max(self._most_mb, _family_mb(self._root))


def _family_mb(root: int) -> int:
    """Resident memory in MB of the process `root` and its descendants; 0 where it has ended."""
    import psutil  # comes with DVC

    total = 0
    try:
        family = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total >> 20
