"""Killed at any moment: the next `make repro` ends well by itself, and with the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import psutil
import pytest
import yaml

from carbrand.node.errors import UserError
from carbrand.node.files.atomic import _sync
from carbrand.pipeline.dvc_settings import check_cache_links
from carbrand.pipeline.healing import heal_lock
from carbrand.pipeline.locks import heal_rwlock, workers
from tests.conftest import ROOT, draw_photo, edit_params, git, run
from tests.support import toy as toys
from tests.support.running import (
    LIMITED,
    NODES,
    WAYS,
    Run,
    await_that,
    bits,
    forget_results,
    in_torture,
    leftovers,
    nodes_of,
)

# At so many points `make torture` kills each node of the toy, and each real one.
POINTS = int(os.environ.get("TORTURE_POINTS", "50"))
REAL_POINTS = 5


def unfinished(project: Path, node: str) -> list[Path]:
    """The folder that a node writes into before its files are whole."""
    return list((project / "artifacts").glob(f".{node}.*.unfinished"))


def files_in(folders: list[Path]) -> int:
    return sum(not path.name.startswith(".") for folder in folders for path in folder.glob("*"))


def await_phase(run: Run, node: str, phase: str) -> psutil.Process:
    """The node's process, as soon as it got that far."""
    process = run.await_process(f"stages.{node}")
    reached: dict[str, Callable[[], object]] = {
        "started": lambda: True,
        "works": lambda: unfinished(run.project, node),
        "writes": lambda: files_in(unfinished(run.project, node)),
    }
    await_that(lambda: reached[phase]() or not process.is_running(), f"{node} {phase}")
    return process


# Each way once; all phases of all nodes with `make torture`.
TOY_MOMENTS = [
    ("collect", "works", "stage"),
    ("fit", "works", "group"),
    ("fit", "writes", "dvc"),
    ("show", "works", "stages"),
]
ALL_TOY_MOMENTS = list(product(toys.NODES, ("started", "works", "writes"), WAYS))
REAL_MOMENTS = [
    ("validate", "works", "stage"),
    ("validate", "started", "group"),
    ("features", "writes", "dvc"),
    ("features", "works", "stages"),
    ("train", "works", "group"),
    ("train", "started", "dvc"),
    ("evaluate", "works", "stages"),
    ("evaluate", "writes", "dvc"),
    ("plot", "works", "stage"),
    ("plot", "started", "stages"),
]


def test_killed_in_one_node_after_the_other_it_ends_as_if_nothing_had_been(
    pipeline, thorough, monkeypatch
):
    """One run after another is killed, in the next node each; the last one may end."""
    expected = bits(pipeline)
    forget_results(pipeline)
    moments = REAL_MOMENTS
    if "collect" in nodes_of(pipeline):
        moments = ALL_TOY_MOMENTS if thorough else TOY_MOMENTS
    for node, phase, way in moments:
        there = leftovers(pipeline)  # of a group that was killed, until its node runs again
        monkeypatch.setenv(toys.PAUSE, f"{node} {phase}=600")
        running = Run(pipeline)
        process = await_phase(running, node, phase)
        running.kill(way, process)
        running.await_nothing_left()
        assert "Traceback" not in running.said()
        status = {"stage": 2, "dvc": 2, "group": -signal.SIGKILL, "stages": 143}[way]
        assert running.end() == status, (node, phase, way, running.said())
        if way == "stages":
            assert running.said().splitlines()[-1] == "stopped"
        if way in ("stages", "dvc"):
            assert set(leftovers(pipeline)) <= set(there)
    monkeypatch.delenv(toys.PAUSE)
    last = Run(pipeline)
    assert last.end() == 0, last.said()
    assert bits(pipeline) == expected
    assert leftovers(pipeline) == []
    assert git(pipeline, "status", "--porcelain") == ""


def _has_ended(process: psutil.Process) -> bool:
    return not process.is_running()


def measure(project: Path) -> dict[str, float]:
    """The seconds that each node takes."""
    running = Run(project, "--force")
    took = {}
    for node in nodes_of(project):
        process = running.await_process(f"stages.{node}")
        start = time.monotonic()
        await_that(partial(_has_ended, process), f"{node} to end")
        took[node] = time.monotonic() - start
    assert running.end() == 0, running.said()
    return took


def phase_of(running: Run, node: str, process: psutil.Process) -> str:
    """What a run is doing."""
    if not process.is_running():
        return "DVC saves" if running.find("carbrand.pipeline.dvc") else "over"
    folders = unfinished(running.project, node)
    if not folders:
        return "starting"
    return "writing" if files_in(folders) else "computing"


def forget_cached(project: Path, node: str) -> None:
    """DVC has what the node wrote no more, nor any run of it; what other nodes wrote, it has."""
    cache = project / ".dvc" / "cache"
    shutil.rmtree(cache / "runs", ignore_errors=True)
    for output in yaml.safe_load((project / "dvc.lock").read_text("utf-8"))["stages"][node]["outs"]:
        digest = output["md5"]  # that of a folder ends with .dir, and so does its list of files
        (cache / "files" / "md5" / digest[:2] / digest[2:]).unlink(missing_ok=True)


def torture(project: Path, node: str, after_s: float, expected: dict[str, str]) -> Counter[str]:
    """Kill a node at one moment in all ways, one run after the other; then the next must be whole.

    Nothing of the node can come from DVC's cache. What was going on when it was killed, counted.
    """
    forget_cached(project, node)
    counted: Counter[str] = Counter()
    for way in WAYS:
        running = Run(project, "--force", "--single-item", node)
        process = running.await_process(f"stages.{node}")
        time.sleep(after_s)
        phase = phase_of(running, node, process)
        running.kill(way, process)
        seconds = running.await_nothing_left()
        counted[f"{way}, {phase}"] += 1
        counted["slowest end in ms"] = max(counted["slowest end in ms"], int(1000 * seconds))
        assert "Traceback" not in running.said(), (node, after_s, way, running.said())
        running.output.unlink()
    last = Run(project)
    assert last.end() == 0, (node, after_s, last.said())
    assert bits(project) == expected, (node, after_s)
    assert leftovers(project) == [], (node, after_s)
    last.output.unlink()
    return counted


@in_torture
@pytest.mark.parametrize("node", [*toys.NODES, *NODES])
def test_a_node_is_killed_at_many_moments_and_heals(node, request, tmp_path, figure, monkeypatch):
    project = request.getfixturevalue("toy" if node in toys.NODES else "finished")
    points = POINTS if node in toys.NODES else REAL_POINTS
    monkeypatch.setenv(toys.PAUSE, "=0.1")
    expected, took = bits(project), measure(project)[node]
    copies = [project, *(tmp_path / f"copy{number}" for number in range(1, os.cpu_count() or 1))]
    for copy in copies[1:]:
        shutil.copytree(project, copy, symlinks=True)

    def work(number: int) -> Counter[str]:
        counted: Counter[str] = Counter()
        for point in range(number, points, len(copies)):
            found = torture(copies[number], node, 1.1 * took * point / points, expected)
            slowest = max(counted["slowest end in ms"], found["slowest end in ms"])
            counted += found
            counted["slowest end in ms"] = slowest
        return counted

    start = time.monotonic()
    with ThreadPoolExecutor(len(copies)) as pool:
        counts = list(pool.map(work, range(len(copies))))
    slowest = max(count.pop("slowest end in ms") for count in counts)
    total = sum(counts, Counter())
    phases = ", ".join(f"{count} {name}" for name, count in sorted(total.items()))
    figure(
        f"{total.total()} kills at {points} points over {took:.1f} s, all healed, same bytes, "
        f"nothing left after at most {slowest / 1000:.1f} s ({phases}); "
        f"{time.monotonic() - start:.0f} s"
    )


# --- a stage ends with its parent ---


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_node_ends_with_the_dvc_that_was_started_by_hand(number, pipeline, slow):
    running = Run(pipeline, command=("dvc", "repro"))
    await_phase(running, slow, "works")
    running.process.send_signal(number)
    assert running.await_nothing_left() < 5
    assert leftovers(pipeline) == []


def test_nothing_is_left_of_a_node_that_is_told_to_stop(pipeline, slow, tmp_path):
    before = bits(pipeline)
    own = {".vectors": str(tmp_path / "vectors")}
    command = [own.get(word, word) for word in nodes_of(pipeline)[slow]]
    running = Run(pipeline, command=(*command,))
    await_phase(running, slow, "works")
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 143
    assert running.said().splitlines()[-1] == "stopped"
    assert leftovers(pipeline) == []
    assert bits(pipeline) == before


def test_ctrl_c_leaves_everything_as_it_was(pipeline, slow):
    """In the middle of a node's work: what DVC prints while it is itself at work is its affair."""
    before = bits(pipeline)
    running = Run(pipeline)
    await_phase(running, slow, "works")
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.end() != 0
    assert "Traceback" not in running.said()
    assert bits(pipeline) == before


def test_workers_of_a_killed_node_end_too(finished):
    for number in range(240):
        draw_photo((number, 60, 90), 5000 + number).save(
            finished / f"Datasets/train/asta/more{number}.png"
        )
    running = Run(finished)
    node = await_phase(running, "validate", "works")
    await_that(lambda: len(node.children()) > 1 or not node.is_running(), "workers to start")
    assert node.is_running()
    node.kill()
    assert running.await_nothing_left() < 10


# A node, or `python -m stages`, of a project in which nothing is.
STARTING = """
import atexit, os, runpy, signal, sys
from carbrand.node import processes

def told() -> None:
    os.kill(os.getpid(), signal.SIGTERM)

def ask() -> None:
    before()
    told()

before, (moment, module) = processes.raise_on_signals, sys.argv[1:3]
if moment == "first":
    processes.raise_on_signals = ask
else:
    atexit.register(told)
sys.argv = sys.argv[2:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["stages", "stages.plot"])
@pytest.mark.parametrize("moment", ["first", "last"])
def test_told_to_stop_in_its_first_or_last_moment_it_does_without_a_traceback(
    module, moment, tmp_path
):
    paths = ["params.yaml", *"abcdef", "out"] if module == "stages.plot" else []
    command = [sys.executable, "-c", STARTING, moment, module, *paths]
    result = run(command, tmp_path, {"PYTHONPATH": str(ROOT)})
    mistake = "error: params.yaml does not exist. Run this from the project's folder.\n"
    assert (result.returncode, result.stderr) == {
        "first": (128 + signal.SIGTERM, "stopped\n"),
        "last": (-signal.SIGTERM, mistake),
    }[moment]


# Told to stop where Python drops what is raised.
DROPPING = """
import signal, sys, threading, time, weakref
from carbrand.node.processes import Stopped, raise_on_signals

start = threading.Thread.start
threading.Thread.start = lambda thread: (start(thread), time.sleep(float(sys.argv[2])))

class Lock:
    pass

def told(_: object) -> None:
    signal.raise_signal(int(sys.argv[1]))

raise_on_signals()
try:
    lock = Lock()
    gone = weakref.ref(lock, told)
    del lock
    time.sleep(15)
except (Stopped, KeyboardInterrupt) as stopped:
    print(type(stopped).__name__)
"""


# On a busy machine the main thread needs a while until it can raise anything again.
@pytest.mark.parametrize("busy_s", [0.0, 0.3])
@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, "Stopped"), (signal.SIGINT, "KeyboardInterrupt")]
)
def test_told_to_stop_where_nothing_can_be_raised_it_stops_a_moment_later(
    number, raised, busy_s, tmp_path
):
    command = [sys.executable, "-c", DROPPING, str(int(number)), str(busy_s)]
    began = time.monotonic()
    result = run(command, tmp_path, {"PYTHONPATH": str(ROOT)})
    assert (result.stdout, result.stderr) == (f"{raised}\n", "")
    assert time.monotonic() - began < 15  # it is woken


# --- what a killed DVC leaves ---


def small_lock() -> bytes:
    """A dvc.lock as DVC writes it, with everything that ours has."""
    from dvc.utils.serialize import dumps_yaml

    deps = [
        {"path": "Datasets/train", "hash": "md5", "md5": f"{7:032x}.dir", "size": 9, "nfiles": 2},
        {"path": "stages/train.py", "hash": "md5", "md5": "12345678901234567890123456789012"},
    ]
    outs = [{"path": "artifacts/train/model.h5", "hash": "md5", "md5": f"{10:032x}", "size": 70}]
    train = {
        "cmd": "python -m stages.train params.yaml artifacts/train",
        "deps": deps,
        "params": {"params.yaml": {"train.l2": 0.1, "train.class_weight": "none"}},
        "outs": outs,
    }
    return dumps_yaml({"schema": "2.0", "stages": {"train": train, "plot": {"cmd": "x"}}}).encode()


def dvc_reads(path: Path) -> bool:
    """Whether DVC does, by its own way of reading it."""
    from dvc.exceptions import DvcException
    from dvc.fs import LocalFileSystem
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils import strictyaml

    try:
        strictyaml.load(str(path), COMPILED_LOCKFILE_SCHEMA, LocalFileSystem())
    except (DvcException, UnicodeDecodeError):
        return False
    return True


@pytest.mark.parametrize("committed", [False, True])
def test_a_lock_torn_anywhere_is_one_that_dvc_reads(tmp_path, monkeypatch, committed, capsys):
    monkeypatch.chdir(tmp_path)
    path, whole = Path("dvc.lock"), small_lock()
    git(tmp_path, "init", "-q")
    if committed:
        path.write_bytes(whole)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", "lock")
    mended = 0
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        heal_lock(path)
        healed = path.read_bytes() if path.exists() else b""
        assert not healed or dvc_reads(path)
        if healed != whole[:length] or not length:
            mended += 1
            assert healed == whole if committed else whole.startswith(healed)
    assert capsys.readouterr().err.count("note: dvc.lock was torn") == mended
    assert mended > 20


def test_a_merge_that_is_not_settled_is_left_to_a_person(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = b"<<<<<<< main\nschema: '2.0'\n=======\nschema: '2.0'\n>>>>>>> other\n"
    Path("dvc.lock").write_bytes(text)
    with pytest.raises(UserError, match="perhaps by a merge"):
        heal_lock(Path("dvc.lock"))
    assert Path("dvc.lock").read_bytes() == text


def test_dvc_runs_after_its_files_were_torn(pipeline, thorough, figure):
    """All files of .dvc/tmp at once, and dvc.lock at some lengths."""
    expected, whole = bits(pipeline), (pipeline / "dvc.lock").read_bytes()
    points = range(40) if thorough else [13]
    lengths = [len(whole) * point // 40 for point in points]
    for number, length in enumerate(lengths):
        (pipeline / "dvc.lock").write_bytes(whole[:length])
        text = ["", '{"write": {"', "[]", '{"write": {"a": {"pid": "1"}}}'][number % 4]
        (pipeline / ".dvc/tmp/rwlock").write_text(text)
        for name in ("lock", "rwlock.lock", "repro.lock", "btime"):
            (pipeline / ".dvc/tmp" / name).write_text(text[:3])
        result = run([sys.executable, "-m", "stages"], pipeline)
        assert result.returncode == 0, (length, result.stdout, result.stderr)
        assert bits(pipeline) == expected, length
    if thorough:
        figure(f"{len(lengths)} torn locks, all mended by the next run, same bytes")


def test_names_of_killed_processes_are_forgotten_and_those_of_living_ones_kept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    living = {"pid": os.getpid(), "cmd": "dvc repro"}
    dead = {"pid": ended.pid, "cmd": "dvc exp run"}
    path = tmp_path / "rwlock"
    content = {"write": {"/a": dead, "/b": living}, "read": {"/c": [dead, living], "/d": [dead]}}
    path.write_text(json.dumps(content))
    heal_rwlock(tmp_path)
    assert json.loads(path.read_text()) == {"write": {"/b": living}, "read": {"/c": [living]}}
    assert {str(worker.path) for worker in workers(tmp_path)} == {"/b", "/c"}
    # The id of a killed process was given to another one, as in a container that was started anew.
    os.utime(path, (1_000_000_000, 1_000_000_000))
    heal_rwlock(tmp_path)
    assert json.loads(path.read_text()) == {}


# --- the cache ---


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "reflink,hardlink,copy"])
@pytest.mark.parametrize("level", ["repo", "local", "global", "system"])
def test_links_through_which_a_writer_reaches_the_cache_are_refused(
    toy, tmp_path, kind, level, monkeypatch
):
    """As DVC itself writes its configurations; the line that is said mends it."""
    for other in ("global", "system"):
        monkeypatch.setenv(f"DVC_{other.upper()}_CONFIG_DIR", str(tmp_path / other))
    if level in ("global", "system"):  # or else the project's own would count
        (toy / ".dvc/config").write_text("[core]\n    analytics = false\n")
    option = [] if level == "repo" else [f"--{level}"]
    monkeypatch.chdir(toy)
    configure([*option, "cache.type", kind])
    with pytest.raises(UserError) as caught:
        check_cache_links(Path())
    assert len(caught.value.problems) == 1
    words = str(caught.value).split("`")[1].split()
    assert words[:2] == ["dvc", "config"]
    configure(words[2:])
    check_cache_links(Path())


def configure(arguments: list[str]) -> None:
    from dvc.cli import main

    assert main(["config", *arguments]) == 0


def test_a_hardlinked_cache_stops_the_run_with_one_line(toy):
    before = bits(toy)
    (toy / ".dvc/config.local").write_text("[cache]\n    type = hardlink\n")
    result = run([sys.executable, "-m", "stages"], toy)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "dvc config --local cache.type reflink,copy" in result.stderr
    assert bits(toy) == before


# --- a full disk ---


@pytest.mark.parametrize(
    "node",
    [
        *(*toys.NODES, "train"),
        *(pytest.param(node, marks=in_torture) for node in NODES if node != "train"),
    ],
)
def test_a_node_that_cannot_write_leaves_what_was_there(node, request):
    """A limit on the size of files says the same as a full disk, and needs no disk to fill."""
    pytest.importorskip("resource", reason="there are no such limits on Windows")
    project = request.getfixturevalue("toy" if node in toys.NODES else "finished")
    before = bits(project)
    _, _, *command = nodes_of(project)[node]
    limit = "100" if node in toys.NODES else "1000"
    result = run([sys.executable, "-c", LIMITED, limit, *command], project)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert f"has no space left for the files of artifacts/{node}" in result.stderr
    assert bits(project) == before
    assert leftovers(project) == []


def test_a_folder_that_cannot_be_synced_is_no_failure_but_a_file_is():
    """/proc is a file system that syncs neither, and says so."""
    folder = Path("/proc/self")
    if not folder.is_dir():
        pytest.skip("there is no /proc")
    _sync(folder)
    with pytest.raises(OSError, match="Invalid argument"):
        _sync(folder / "status")


@in_torture
def test_a_disk_that_gets_full_costs_nothing(finished, tmp_path):
    """A real one, as far as one may be made here."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=250m", "tmpfs", str(disk)],
        capture_output=True, check=False,
    )  # fmt: skip
    if not made or made.returncode != 0:
        pytest.skip("may not mount a small disk here")
    try:
        project = Path(shutil.copytree(finished, disk / "project", symlinks=True))
        shutil.rmtree(project / ".vectors")
        before = bits(project)
        edit_params(project, features__backbone="efficientnet_lite0", features__size_px=96)
        filler = disk / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - 1_000_000)
        result = run([sys.executable, "-m", "stages"], project)
        assert result.returncode == 2, result.stdout + result.stderr
        errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert "artifacts has no space left" in errors[0], result.stderr
        assert bits(project) == before
        filler.unlink()
        assert run([sys.executable, "-m", "stages"], project).returncode == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
