"""The end of a process and of all that it started."""

from __future__ import annotations

import contextlib
import subprocess

_GRACE_S = 5.0


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End DVC at once, so that it starts no more, then its nodes in good order; await their end."""
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
