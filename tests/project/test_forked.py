"""What tests fork is what they would start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import own_environment
from tests.support.forked import Server

# A module that shows all that a program sees of itself, and ends in one of many ways.
PROBE = """
import atexit, os, signal, sys, threading
print(sorted(number for number in range(3, 50) if os.path.exists(f"/proc/self/fd/{number}")))
print(sys.argv, sys.path[:2], os.getcwd(), __name__, __spec__.name, sys.flags)
print(sorted(os.environ.items()))
with os.popen("env | sort") as shell:
    print(shell.read())
print(sys.stdin.read(), [os.isatty(number) for number in (0, 1, 2)])
for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.encoding, stream.errors, stream.line_buffering, stream.write_through)
print([(s, signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)])
print([name for name in sys.modules if name.startswith(("carbrand", "tests", "stages"))])
print([thread.name for thread in threading.enumerate()], os.getpgrp(), os.umask(0o22))
import beside
print(beside.__file__)
print("to stderr", file=sys.stderr)
atexit.register(print, "at the end")
ends = {
    "0": lambda: None,
    "3": lambda: sys.exit(3),
    "message": lambda: sys.exit("a message"),
    "none": lambda: sys.exit(None),
    "large": lambda: sys.exit(1000),
    "thread": lambda: threading.Timer(0.2, print, ["of a thread"]).start(),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "child": lambda: os.system("exit 4"),
}
ends[sys.argv[1]]()
"""
WAYS = ("0", "3", "message", "none", "large", "thread", "killed", "child")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked on Windows")


@pytest.fixture(scope="module")
def server() -> Server:
    return Server(own_environment())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "beside.py").write_text("")
    return tmp_path


def both(server: Server, project: Path, *arguments: str, **environment: str):
    """A program that is forked, and one that is started."""
    command = [sys.executable, "-m", *arguments]
    env = own_environment() | environment
    started = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    return server.run(command, project, env), started


@pytest.mark.parametrize("way", WAYS)
def test_a_fork_sees_and_leaves_what_a_program_that_is_started_does(server, project, way):
    forked, started = both(server, project, "probe", way, DVC_TEST="a b\nc", AWS_REGION="x")
    assert forked is not None
    assert started.returncode == {"3": 3, "message": 1, "large": 232}.get(
        way, -signal.SIGKILL if way == "killed" else 0
    )
    assert (forked.returncode, forked.stderr) == (started.returncode, started.stderr)
    assert forked.stdout == started.stdout
    assert forked.args == started.args


# A program that starts others, after much that those must not find.
STARTER = """
import atexit, io, os, signal, subprocess, sys, tempfile, threading, warnings, weakref
import beside
class Kept: pass
kept = Kept()
weakref.finalize(kept, print, "finalized")
atexit.register(print, "at the end of the starter")
signal.signal(signal.SIGTERM, lambda *_: None)
warnings.simplefilter("ignore")
sys.excepthook = sys.unraisablehook = print
sys.path.append("/another")
sys.stdout.reconfigure(errors="replace", line_buffering=True)
os.environ["OF_THE_STARTER"] = "1"
held = tempfile.TemporaryFile()
threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.stdout.reconfigure(line_buffering=False)
print("before")
command = [sys.executable, "-m", "stages"]
node = ["/bin/sh", "-c", "python -m stages.node a b/c.d"]
for words in (command + ["0"], command + ["3"], command + ["message"], command + ["killed"], node):
    piped = {"capture_output": True} if words is node else {"stdout": subprocess.PIPE}
    done = subprocess.run(words, text=True, **piped, stdin=subprocess.DEVNULL)
    sys.stderr.write(f"{done}\\n")
print(subprocess.call(command + ["0"], cwd="elsewhere", env={**os.environ, "MORE": "1"}))
print(subprocess.call(command + ["0"], stderr=subprocess.STDOUT))
print(subprocess.run(command + ["child"], stdout=sys.stderr, stderr=subprocess.STDOUT))
print(subprocess.call(["/bin/sh", "-c", "python -m stages.node; echo $?"]), beside.__name__)
print(signal.getsignal(signal.SIGTERM) is not None, held.closed, os.environ["OF_THE_STARTER"])
"""


def test_what_a_fork_starts_sees_and_leaves_what_it_does_where_that_is_started(server, project):
    (project / "starter.py").write_text(STARTER)
    for stages in (project / "stages", project / "elsewhere" / "stages"):
        stages.mkdir(parents=True)
        (stages / "__init__.py").touch()
        (stages / "__main__.py").write_text(PROBE)
        (stages / "node.py").write_text("import sys; print(sys.argv); sys.exit(len(sys.argv))")
    (project / "elsewhere" / "beside.py").write_text("")
    forked, started = both(server, project, "starter")
    assert (forked.returncode, forked.stderr) == (started.returncode, started.stderr)
    assert forked.stdout == started.stdout
    assert "returncode=-9" in forked.stderr
    assert "finalized" in forked.stdout


def test_what_a_fork_starts_is_its_child_and_forked_too(server, project):
    (project / "stages").mkdir()
    (project / "stages/__init__.py").touch()
    (project / "stages/node.py").write_text(
        "import os, sys; print(os.getppid(), sys.orig_argv[1].endswith('fork_server.py'))"
    )
    (project / "starter.py").write_text(
        "import os, subprocess\nprint(os.getpid(), flush=True)\n"
        "subprocess.call(['sh', '-c', 'python -m stages.node'])\n"
        "subprocess.call(['sh', '-c', 'python -m stages.node | cat'])\n"
    )
    forked, _ = both(server, project, "starter")
    process, *lines = forked.stdout.splitlines()
    assert lines[0].split() == [process, "True"]
    assert lines[1].split()[1] == "False"


def test_one_fork_leaves_nothing_for_the_next(server, project):
    (project / "other").mkdir()
    (project / "other/probe.py").write_text("import os\nprint('another', os.environ.get('MORE'))")
    assert both(server, project, "probe", "0", MORE="1")[0].returncode == 0
    forked, started = both(server, project / "other", "probe")
    assert forked.stdout == started.stdout == "another None\n"


def test_an_exception_and_a_module_that_is_missing_end_as_they_do(server, project):
    for arguments, last in ((("probe", "no way"), "KeyError: 'no way'"), (("gone",), "gone")):
        forked, started = both(server, project, *arguments)
        assert forked.returncode == started.returncode == 1
        assert forked.stderr.splitlines()[-1] == started.stderr.splitlines()[-1]
        assert last in forked.stderr


def test_what_is_decided_at_the_start_is_not_forked(server, project):
    assert both(server, project, "probe", "0", PYTHONPATH=str(project))[0] is None
    assert both(server, project, "probe", "0", HOME=str(project))[0] is None


@pytest.mark.parametrize("arguments", [["--version"], ["status"], ["nonsense"], ["dag", "--md"]])
def test_dvc_says_the_same(server, tmp_path, arguments):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for _ in range(2):
        forked, started = both(server, tmp_path, "dvc", *arguments)
        assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
        assert forked.stderr == started.stderr
        server.run([sys.executable, "-m", "dvc", "init", "-q"], tmp_path, own_environment())
    assert (tmp_path / ".dvc").is_dir()
