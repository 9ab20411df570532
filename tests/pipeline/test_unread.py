"""Where nobody reads what a command prints, its status says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carbrand.node.errors import NO_READER
from tests.conftest import ROOT


def run_unread(command: list[str], cwd: Path) -> tuple[int, str]:
    """The status of a command whose output nobody reads, and what it says on stderr."""
    read, write = os.pipe()
    os.close(read)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        result = subprocess.run(
            command, cwd=cwd, env=env, stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    return result.returncode, result.stderr


PRINTING = """
import sys
from carbrand.node.errors import UserError, exit_status

def main():
    print("x" * int(sys.argv[1]))
    if sys.argv[2] == "mistake":
        raise UserError("a mistake")
    return int(sys.argv[2])

sys.exit(exit_status(main))
"""


@pytest.mark.parametrize("length", [1, 1_000_000], ids=["at the end", "while it is printed"])
@pytest.mark.parametrize("verdict", [0, 1])
def test_a_verdict_that_nobody_reads_is_no_success_and_no_traceback(length, verdict):
    command = [sys.executable, "-c", PRINTING, str(length), str(verdict)]
    assert run_unread(command, ROOT) == (NO_READER, "")
    assert NO_READER == 141  # 128 + SIGPIPE


def test_a_mistake_is_told_where_nobody_reads_the_rest():
    command = [sys.executable, "-c", PRINTING, "1", "mistake"]
    assert run_unread(command, ROOT) == (NO_READER, "error: a mistake\n")
