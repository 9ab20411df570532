"""Whatever a user can cause ends as a line on stderr and a status, never as a traceback."""

from __future__ import annotations

import errno
import signal

import pytest

from carbrand.node.errors import DONE, UNUSABLE_INPUT, UserError, exit_status
from carbrand.node.processes import Stopped


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
