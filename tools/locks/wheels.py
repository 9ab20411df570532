"""Asks the index whether every lock can be installed on every platform that we name.

`python -m tools.locks.wheels` needs uv, which `make lock` installs, and an index. Nothing is
installed, and only metadata is fetched. Exit status: 0 everywhere, 1 not everywhere.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from carbrand.node.errors import UserError, exit_status
from tools.locks.locks import locks

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# As uv names them. OpenVINO's wheel for Linux on ARM asks for the newest glibc; CUDA is for one
# platform only.
PLATFORMS = (
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_35",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)
CUDA_PLATFORMS = PLATFORMS[:1]
# There is no wheel of it, and it holds no compiled code.
FROM_SOURCE = "antlr4-python3-runtime"


def trouble(lock: Path, platform: str, python: str) -> str:
    """Why a lock cannot be installed there, in uv's words; "" where it can."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--dry-run"]
        command += ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
        command += ["--no-binary", FROM_SOURCE, "--target", folder, "--requirement", str(lock)]
        command += ["--python-platform", platform, "--python-version", python]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else " ".join(done.stderr.split())


def main() -> int:
    if find_spec("uv") is None:
        raise UserError("uv is not installed here. Run make wheels, which installs it")
    failed = 0
    for lock in locks():
        for platform in CUDA_PLATFORMS if lock.stem == "gpu" else PLATFORMS:
            for python in PYTHONS:
                why = trouble(lock, platform, python)
                failed += bool(why)
                print(f"{lock.name} {platform} {python}: {why[:300] or 'has a file for all'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
