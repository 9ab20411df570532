"""Whatever a user can cause ends as a line on stderr and a status, never as a traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from carbrand.node.errors import DONE, NO_READER, UNUSABLE_INPUT, UserError, exit_status
from carbrand.node.processes import Stopped
from tests.conftest import ROOT


def fail(error: BaseException):
    def main() -> int:
        raise error

    return main


def test_all_is_well(capsys):
    assert exit_status(lambda: None) == DONE
    assert capsys.readouterr().err == ""


def test_every_problem_is_a_line(capsys):
    assert exit_status(fail(UserError("one", "two"))) == UNUSABLE_INPUT
    assert capsys.readouterr().err == "error: one\nerror: two\n"


def test_a_full_disk_names_the_file(capsys):
    error = OSError(errno.ENOSPC, "No space left on device", "artifacts/x")
    assert exit_status(fail(error)) == UNUSABLE_INPUT
    said = capsys.readouterr().err
    assert said.startswith("error: artifacts/x: No space left on device.")


def test_a_library_that_explains_over_several_lines_is_one_line(capsys):
    assert exit_status(fail(OSError("write failed: time = now\n, errno = 28"))) == UNUSABLE_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 1


def fail_to_import(stop: BaseException):
    """As OpenVINO does when a signal comes while its part in C is imported."""

    def main() -> int:
        try:
            raise ImportError("initialization failed") from stop
        except ImportError as error:
            raise RuntimeError("no engine") from error

    return main


def test_an_import_that_a_signal_ended_is_no_failed_import(capsys):
    with pytest.raises(Stopped) as stopped:
        exit_status(fail_to_import(Stopped(signal.SIGTERM)))
    assert stopped.value.exit_status == 143
    assert exit_status(fail_to_import(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_an_import_that_fails_by_itself_says_so():
    with pytest.raises(ImportError, match="no module"):
        exit_status(fail(ImportError("no module")))


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
