"""The tests pass wherever they are started: at a terminal, under `nohup`, in the background."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT, run

SAYS_HOW_IT_STANDS = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"


def test_what_a_test_starts_can_be_interrupted(tmp_path):
    assert run([sys.executable, "-c", SAYS_HOW_IT_STANDS], tmp_path).stdout == "False\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_so_it_can_where_the_tests_themselves_cannot():
    this = f"{__file__}::{test_what_a_test_starts_can_be_interrupted.__name__}"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", this],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0, done.stdout
