"""An S3 server on this machine, so that tests of object storage leave it for nothing."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_START_S = 60


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """The address of an empty S3 server, a process of its own; its log goes into `folder`."""
    log = folder / "s3_server.log"
    # Port 0: the system picks a free one, which the server's log then tells.
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield _address(process, log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen, log: Path) -> str:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text("utf-8"))
        if found:
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"the S3 server did not start: {log.read_text('utf-8')}")
