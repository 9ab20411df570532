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
def test_so_it_can_where_the_tests_themselves_cannot(tmp_path):
    this = f"{__file__}::{test_what_a_test_starts_can_be_interrupted.__name__}"
    # In a folder of its own: pytest would delete what earlier runs left, however long that takes.
    own = ["-p", "no:cacheprovider", "--basetemp", str(tmp_path / "its")]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *own, this],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0, done.stdout
