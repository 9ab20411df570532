"""The whole loop, with a real Git remote and a real DVC remote, in clones."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from carbrand.commands.retrain import PHOTOS, WRITTEN
from carbrand.node.errors import UserError
from carbrand.node.params import read_section
from carbrand.pipeline.locks import held_once_free, is_held
from carbrand.release.gate.gate_params import GateFiles, GateParams
from carbrand.release.registry.find import find_file
from carbrand.release.retrain.dvc_commands import Dvc
from carbrand.release.retrain.forecast import NodeAction
from carbrand.release.retrain.loop import Plan, check_unchanged
from tests.conftest import (
    ROOT,
    change_test_photos,
    draw_photo,
    edit_params,
    git,
    make_project,
    remember,
    run,
)
from tests.support.copies import copy_made
from tests.support.running import LONG, Run, await_that, bits, in_torture, leftovers
from tests.support.toy import MODEL, PAUSE, make_toy

RETRAIN = ("-m", "carbrand.cli", "retrain")

# A model that has them wrong, and one that has learned from the right folders.
SWAPPED = {"asta": "bolt", "bolt": "cirro", "cirro": "asta"}


@dataclass(frozen=True)
class Kind:
    """A pipeline. nodes: in the order in which they run.

    finer, another: params which the nodes `drawn` and `learned` read, with values of which nobody
    knows what comes of them. model: which DVC keeps. make: a project in which nothing ever ran.
    """

    nodes: list[str]
    drawn: str
    finer: dict[str, object]
    learned: str
    another: dict[str, object]
    model: str
    make: Callable[[Path], object]


REAL = Kind(
    nodes=["validate", "features", "train", "finetune", "evaluate", "plot"],
    drawn="plot",
    finer={"plot__dpi": 60},
    learned="train",
    another={"train__l2": 0.02},
    model="artifacts/finetune/model.h5",
    make=make_project,
)
TOY = Kind(
    nodes=["collect", "fit", "evaluate", "show"],
    drawn="show",
    finer={"show__width": 60},
    learned="fit",
    another={"fit__l2": 0.02},
    model=MODEL,
    make=lambda target: make_toy(target, judged=True),
)


@dataclass(frozen=True)
class World:
    """Where branches and artifacts are pushed to, a folder for clones, a project with more runs."""

    kind: Kind
    origin: Path
    store: Path
    clones: Path
    learned: Path

    def clone(self, name: str = "clone") -> Path:
        """A clone as CI makes it, with nothing but what is on the remotes."""
        target = self.clones / name
        git(self.clones, "clone", "-q", str(self.origin), str(target))
        return target

    def wise_clone(self, name: str = "clone") -> Path:
        """The same where DVC knows what comes of `add_photos` and `swap_brands`: no node runs."""
        target = self.clone(name)
        remember(target, self.learned)
        return target

    def branches(self) -> dict[str, str]:
        """What the Git remote has, but for main: branches and their commits."""
        listed = git(self.origin, "for-each-ref", "--format=%(refname:short) %(objectname)")
        found = dict(line.split() for line in listed.splitlines())
        return {name: commit for name, commit in found.items() if name != "main"}

    def main(self) -> str:
        return git(self.origin, "rev-parse", "main").strip()


MadeOnce = Callable[[str, Callable[[Path], object]], Path]


def push_all(folder: Path, project: Path) -> None:
    """In `folder`, a bare repository and a DVC remote in which the pipeline ran on main.

    Its gate is one that 9 test photos can satisfy.
    """
    git(folder, "init", "-q", "--bare", "-b", "main", "origin")
    edit_params(project, gate__margin=0.4, gate__min_support=3, gate__floor=0.0)
    edit_params(project, gate__verdicts=2, gate__total_error=0.1)
    run_dvc(project, "remote", "add", "-d", "store", "../store")
    finish(project)
    git(project, "push", "-q", str(folder / "origin"), "main")


def learn_more(project: Path) -> None:
    """Run with the changes that the tests make, too, and tell nobody."""
    for change in (add_photos, swap_brands):
        change(project)
        run_pipeline(project)
        git(project, "reset", "-q", "--hard")
        git(project, "clean", "-qfd", "Datasets")


@pytest.fixture(scope="module")
def real_start(_finished: Path, made_once: MadeOnce) -> Path:
    def make(folder: Path) -> None:
        folder.mkdir()
        push_all(folder, copy_made(_finished, folder / "project"))

    return made_once("real-start", make)


@pytest.fixture(scope="module")
def wise_start(real_start: Path, made_once: MadeOnce) -> Path:
    def make(folder: Path) -> None:
        shutil.copytree(real_start, folder, symlinks=True)
        learn_more(folder / "project")

    return made_once("wise-start", make)


@pytest.fixture(scope="module")
def toy_start(made_once: MadeOnce) -> Path:
    def make(folder: Path) -> None:
        folder.mkdir()
        push_all(folder, make_toy(folder / "project", judged=True))
        learn_more(folder / "project")

    return made_once("toy-start", make)


def copy_world(kind: Kind, start: Path, target: Path) -> World:
    """A copy of the start of one's own."""
    for name in ("origin", "store"):
        shutil.copytree(start / name, target / name)
    return World(kind, target / "origin", target / "store", target, start / "project")


@pytest.fixture
def _no_git_config(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)


@pytest.fixture
def real_world(real_start: Path, tmp_path: Path, _no_git_config: None) -> World:
    """The real pipeline, of which nobody knows another run."""
    return copy_world(REAL, real_start, tmp_path)


@pytest.fixture(params=["toy", pytest.param("real", marks=in_torture)])
def world(request: pytest.FixtureRequest, tmp_path: Path, _no_git_config: None) -> World:
    """The toy, and with `make torture` the real pipeline too."""
    if request.param == "toy":
        return copy_world(TOY, request.getfixturevalue("toy_start"), tmp_path)
    return copy_world(REAL, request.getfixturevalue("wise_start"), tmp_path)


@pytest.fixture
def ran(world: World) -> Path:
    """A project in which the pipeline ran, and which has no remote of DVC or Git."""
    project = copy_made(world.learned, world.clones / "ran")
    run_dvc(project, "remote", "remove", "store")
    git(project, "commit", "-qam", "no store")
    return project


def run_dvc(project: Path, *arguments: str) -> str:
    result = run([sys.executable, "-m", "dvc", *arguments], project)
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_pipeline(project: Path) -> None:
    result = run([sys.executable, "-m", "stages"], project)
    assert result.returncode == 0, result.stdout + result.stderr


def finish(project: Path) -> None:
    """Run the pipeline, commit, and push to DVC's remote."""
    run_pipeline(project)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "run", "--allow-empty")
    run_dvc(project, "push", "-q", "--run-cache")


def retrain(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "carbrand.cli", "retrain", *options], project)


def result(project: Path) -> dict[str, str]:
    return json.loads((project / ".retrain" / "result.json").read_text("utf-8"))


def nodes_run(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The nodes that DVC ran."""
    prefix = "Running stage '"
    return [
        line.removeprefix(prefix).rstrip(":'")
        for line in done.stdout.splitlines()
        if line.startswith(prefix)
    ]


def add_photos(project: Path, seed: int = 77) -> None:
    draw_photo((200, 30, 30), seed).save(project / "Datasets" / "train" / "asta" / "new.png")


def swap_brands(project: Path) -> None:
    """Put every training photo under another brand."""
    train = project / "Datasets" / "train"
    for brand in SWAPPED:
        (train / brand).rename(train / f"{brand} was here")
    for brand, other in SWAPPED.items():
        (train / f"{brand} was here").rename(train / other)


def commit_bad_model(world: World) -> None:
    """Let main have a model that is wrong about every photo."""
    project = world.wise_clone("bad")
    swap_brands(project)
    finish(project)
    git(project, "push", "-q", "origin", "main")


def test_nothing_new_runs_no_node_and_leaves_no_branch(world: World):
    project = world.clone()
    said, nodes = foreseen(project)
    assert nodes[NodeAction.UNCHANGED.value] == world.kind.nodes
    assert said.endswith("nothing would change: there would be no new model and no branch\n")
    assert "git push" not in said
    done = retrain(project)
    assert done.returncode == 0, done.stderr
    assert (nodes_run(done), cached(done)) == ([], [])
    assert result(project)["verdict"] == "unchanged"
    assert world.branches() == {}
    assert git(project, "status", "--porcelain") == ""


def test_new_photos_and_a_model_no_worse_become_a_branch_that_anybody_can_check_out(world: World):
    project, before = world.clone(), world.main()
    add_photos(project)  # no clone knows what comes of it
    assert_dry_run_does_nothing(world, project)
    done = retrain(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert nodes_run(done) == world.kind.nodes
    said = result(project)
    assert said["verdict"] == "promote"
    assert world.branches() == {said["branch"]: said["commit"]}
    assert world.main() == before == git(project, "rev-parse", "HEAD").strip()
    report = (project / ".retrain" / "report.md").read_text("utf-8")
    assert "| metric | old | new | change |" in report

    # What the branch names is in DVC's remote: nothing runs there, and everything is the same.
    other = world.clone("other")
    git(other, "switch", "-q", said["branch"])
    assert git(other, "log", "-1", "--format=%s").strip() == said["title"]
    pulled = run([sys.executable, "-m", "dvc", "repro", "--pull"], other)
    assert pulled.returncode == 0, pulled.stderr
    assert nodes_run(pulled) == []
    model = world.kind.model
    assert (other / model).read_bytes() == (project / model).read_bytes()
    assert git(other, "status", "--porcelain") == ""


def test_a_worse_model_is_pushed_nowhere_and_its_verdict_counts(world: World):
    project = world.wise_clone()
    swap_brands(project)
    kept = sorted(world.store.rglob("*"))
    done = retrain(project)
    assert done.returncode == 1, done.stdout + done.stderr
    said = result(project)
    assert said["verdict"] == "reject"
    assert world.branches() == {said["branch"]: said["commit"]}
    assert git(project, "diff", "--name-only", "HEAD", said["commit"]) == "ledger.csv\n"
    assert sorted(world.store.rglob("*")) == kept
    # Nobody has merged it, yet another clone knows it: the same question costs nothing.
    other = world.wise_clone("other")
    swap_brands(other)
    assert retrain(other).returncode == 1
    assert list(world.branches()) == [said["branch"]]
    assert "this cost nothing, 1 of 2 verdicts" in (other / ".retrain/report.md").read_text("utf-8")
    assert "reject" in (project / ".retrain" / "report.md").read_text("utf-8")


@in_torture  # in every run, the gate alone is asked the same
def test_a_better_model_is_promoted_even_by_a_gate_that_allows_no_loss(world: World):
    commit_bad_model(world)
    project = world.wise_clone()
    swap_brands(project)
    swap_brands(project)  # three brands in a ring: twice more is right again
    edit_params(project, gate__margin=0.0)
    git(project, "commit", "-qam", "stricter")
    done = retrain(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert result(project)["verdict"] == "promote"
    assert list(world.branches()) == [result(project)["branch"]]


def test_what_the_test_photos_cannot_tell_is_left_to_a_person_and_may_be_pushed_by_another_job(
    world: World,
):
    project = world.wise_clone()
    edit_params(project, gate__margin=0.05)
    git(project, "commit", "-qam", "stricter")
    git(project, "push", "-q", "origin", "main")
    add_photos(project)
    done = retrain(project, "--bundle", ".retrain/branch.bundle", "--exit-zero")
    assert done.returncode == 0, done.stdout + done.stderr
    said = result(project)
    assert said["verdict"] == "not enough evidence"
    handed = (project / ".retrain" / "result.env").read_text("utf-8").splitlines()
    assert f"branch={said['branch']}" in handed
    assert "draft=true" in handed
    assert world.branches() == {}
    # The bundle is all that the other job needs.
    pusher = world.clone("pusher")
    refs = "refs/heads/retrain/*:refs/heads/retrain/*"
    git(pusher, "fetch", "-q", str(project / ".retrain" / "branch.bundle"), refs)
    git(pusher, "push", "-q", "origin", refs)
    assert world.branches() == {said["branch"]: said["commit"]}


def test_a_first_model_is_left_to_a_person(world: World):
    project = world.clones / "project"
    world.kind.make(project)
    remember(project, world.learned)
    done = retrain(project)
    assert done.returncode == 3, done.stdout + done.stderr
    branch = result(project)["branch"]
    assert "artifacts/evaluate/metrics.json" in git(project, "ls-tree", "-r", "--name-only", branch)
    assert git(project, "symbolic-ref", "--short", "HEAD").strip() == "main"


@in_torture  # in every run, test_two_at_once.py
def test_two_at_once_come_to_one_branch_which_another_run_finds_again(world: World):
    clones = [world.wise_clone("one"), world.wise_clone("two")]
    for project in clones:
        add_photos(project)
    command = [sys.executable, "-m", "carbrand.cli", "retrain"]
    both = [
        subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for project in clones
    ]
    for process in both:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()
    assert len(world.branches()) == 1
    branches = world.branches()
    assert {result(project)["branch"] for project in clones} == set(branches)
    again = retrain(clones[0])
    assert again.returncode == 0
    assert nodes_run(again) == []
    assert world.branches() == branches


def test_a_push_that_fails_midway_is_finished_by_the_next_run(world: World):
    project = world.wise_clone()
    add_photos(project)
    hook = world.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho the disk of the server is full >&2\nexit 1\n", "utf-8")
    hook.chmod(0o755)
    done = retrain(project)
    assert done.returncode == 2
    assert "the disk of the server is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert world.branches() == {}
    hook.unlink()
    again = retrain(project)
    assert again.returncode == 0, again.stderr
    assert nodes_run(again) == []
    assert list(world.branches()) == [result(project)["branch"]]


def test_without_the_store_of_dvc_nothing_goes_to_git(world: World):
    project = world.wise_clone()
    add_photos(project)
    shutil.rmtree(world.store)
    world.store.write_text("no folder", "utf-8")
    done = retrain(project)
    assert done.returncode == 2
    assert "Nothing was committed or pushed to Git" in done.stderr
    assert world.branches() == {}
    assert git(project, "branch", "--list", "retrain/*") == ""


def assert_dry_run_does_nothing(world: World, project: Path) -> None:
    """It says all that would be done."""
    before = git(project, "status", "--porcelain")
    done = retrain(project, "--dry-run")
    assert done.returncode == 0, done.stderr
    for words in (
        "stages --pull --allow-missing",
        "dvc push --run-cache",
        "git push origin retrain/",
    ):
        assert f"would run: {words}" in done.stdout
    assert f"retrain: nodes that would run: {world.kind.nodes[0]}\n" in done.stdout
    assert git(project, "status", "--porcelain") == before
    assert not (project / ".retrain").exists()
    assert not (project / world.kind.model).exists()
    assert world.branches() == {}


def foreseen(project: Path) -> tuple[str, dict[str, list[str]]]:
    """What a dry run says, and of which nodes it says what."""
    done = retrain(project, "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("retrain: ").partition(": ") for line in done.stdout.splitlines()]
    return done.stdout, {said: nodes.split(", ") for said, _, nodes in lines if nodes}


def cached(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The nodes that DVC took from its cache."""
    return re.findall(r"^Stage '(\w+)' is cached", done.stdout, re.MULTILINE)


def test_a_dry_run_foresees_what_the_run_does_with_each_node(world: World):
    kind, project = world.kind, world.wise_clone()
    others = [node for node in kind.nodes if node != kind.drawn]
    edit_params(project, **kind.finer)
    git(project, "commit", "-qam", "finer")
    add_photos(project)  # with what comes of them in the cache, but for the figures
    _, nodes = foreseen(project)
    done = retrain(project)
    assert (nodes[NodeAction.CACHED.value], nodes[NodeAction.RUNS.value]) == (others, [kind.drawn])
    assert (cached(done), nodes_run(done)) == (others, [kind.drawn])

    edit_params(project, **kind.another)  # nobody knows what comes of it
    git(project, "add", "-A")
    git(project, "commit", "-qm", "another penalty, and what was learned before")
    _, nodes = foreseen(project)
    place = kind.nodes.index(kind.learned)
    assert nodes[NodeAction.UNCHANGED.value] == kind.nodes[:place]
    assert nodes[NodeAction.RUNS.value] == [kind.learned]
    assert nodes[NodeAction.UNKNOWN.value] == kind.nodes[place + 1 :]
    done = retrain(project)
    assert (cached(done), nodes_run(done)) == ([], kind.nodes[place:])


def test_changes_that_are_not_committed_stop_it_before_anything_runs(world: World):
    project = world.clone()
    edit_params(project, **world.kind.another)
    done = retrain(project)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "params.yaml" in done.stderr
    assert nodes_run(done) == []


def assert_old_model_was_asked(report: str) -> None:
    assert "on 10 leak-free test photos" in report
    assert "the old model has predicted them now" in report


@in_torture
def test_new_test_photos_are_put_to_the_old_model_too(real_world: World, other_photos: Path):
    project = real_world.clone()
    change_test_photos(project)
    remember(project, other_photos)
    done = retrain(project)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert_old_model_was_asked((project / ".retrain" / "report.md").read_text("utf-8"))


# In a process of its own, for DVC is asked for the old model.
JUDGED = """
from pathlib import Path
from carbrand.pipeline.git import Repository
from carbrand.release.retrain.loop import compare
from carbrand.release.retrain.summary import write_description
from tests.pipeline.test_retrain import plan_of

print(write_description(compare(plan_of(Path()), Repository(Path()))))
"""


def test_a_run_with_new_test_photos_is_judged_after_the_old_model_was_asked_about_them(
    other_photos: Path,
):
    done = run([sys.executable, "-c", JUDGED], other_photos, {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert_old_model_was_asked(done.stdout)


@in_torture  # in every run, test_object_storage.py imports
def test_imported_photos_are_brought_up_to_date_first(world: World, tmp_path: Path):
    project = world.wise_clone()
    collected = tmp_path / "collected"
    shutil.copytree(project / "Datasets" / "train", collected)
    git(project, "rm", "-rq", "Datasets/train")
    run_dvc(project, "import-url", "-q", str(collected), "Datasets/train")
    finish(project)
    git(project, "push", "-q", "origin", "main")
    draw_photo((200, 30, 30), 77).save(collected / "asta" / "new.png")

    clone = world.wise_clone("after")
    said, nodes = foreseen(clone)
    photos = len(list(collected.rglob("*.png")))  # all: the clone has none of them yet
    assert f"would fetch {photos} photos of Datasets/train.dvc" in said
    done = retrain(clone)
    assert cached(done) == nodes.get(NodeAction.CACHED.value, [])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$ dvc update Datasets/train.dvc" in done.stdout
    assert (clone / "Datasets" / "train" / "asta" / "new.png").exists()
    branch = result(clone)["branch"]
    changed = git(clone, "diff", "--name-only", "HEAD", branch).split()
    assert {"Datasets/train.dvc", "dvc.lock"} <= set(changed)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=in_torture)])
def test_told_to_stop_it_ends_after_its_run_has_put_everything_back(
    ran: Path, world: World, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
):
    if world.kind is TOY:
        monkeypatch.setenv(PAUSE, "fit works=600")
        node = "fit"
        edit_params(ran, fit__l2=0.5)
    else:
        node = "features"
        edit_params(ran, **LONG)
    git(ran, "commit", "-qam", "longer")
    before = bits(ran)
    running = Run(ran, command=(sys.executable, *RETRAIN))
    running.await_process(f"stages.{node}")
    if number == signal.SIGINT:  # a terminal sends it to all
        os.killpg(running.process.pid, number)
    else:
        running.process.send_signal(number)
    assert running.end() == 128 + number
    assert bits(ran) == before
    assert running.find("stages") is None
    assert leftovers(ran) == []
    assert running.said().splitlines()[-1] == "stopped"
    assert not (ran / ".retrain").exists()


def test_after_ctrl_c_no_other_step_comes_though_this_one_got_through(tmp_path: Path):
    (tmp_path / "step.py").write_text(
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.killpg(0, signal.SIGINT)\n"
        "time.sleep(1)\n"
        "pathlib.Path('through').touch()\n",
        "utf-8",
    )
    steps = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
        "from carbrand.node.errors import exit_status; "
        "from carbrand.release.retrain.dvc_commands import Dvc; "
        "sys.exit(exit_status(lambda: [Dvc(Path()).run('step'), print('another step')] and 0))"
    )
    running = Run(tmp_path, command=(sys.executable, "-c", steps))
    assert running.end() == 130
    assert (tmp_path / "through").exists()
    assert running.said() == "stopped\n"


@in_torture  # in every run, test_two_at_once.py waits
def test_another_run_has_its_turn_before_anything_is_compared(ran: Path):
    running = Run(ran, command=(sys.executable, *RETRAIN))
    lock, predictions = ran / ".dvc/tmp/repro.lock", ran / "artifacts/evaluate"
    await_that(lambda: is_held(lock), "the run to start")
    with held_once_free(lock, lambda: time.sleep(0.005)):
        predictions.rename(ran / "deleted")  # as DVC does before a node starts
        await_that(
            lambda: "Waiting for its end" in running.said() or running.process.poll() is not None,
            "it to wait, or to have been faster",
        )
        (ran / "deleted").rename(predictions)
    assert running.end() == 0, running.said()
    assert result(ran)["verdict"] == "unchanged"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            lambda project, _: add_photos(project),
            "Changed while this ran: Datasets/train. ",
            marks=in_torture,
        ),
        (lambda project, kind: edit_params(project, **kind.another), "committed: params.yaml. "),
    ],
    ids=["photos", "params"],
)
def test_what_is_changed_during_the_run_is_in_no_commit(
    ran: Path,
    world: World,
    change: Callable[[Path, Kind], None],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(PAUSE, "show works=1")
    edit_params(ran, **world.kind.finer)
    git(ran, "commit", "-qam", "finer")
    running = Run(ran, command=(sys.executable, *RETRAIN))
    running.await_process(f"stages.{world.kind.drawn}")
    change(ran, world.kind)
    assert running.end() == 2, running.said()
    (line,) = [line for line in running.said().splitlines() if line.startswith("error: ")]
    assert words in line
    assert git(ran, "branch", "--list", "retrain/*") == ""


def plan_of(project: Path) -> Plan:
    """What the command would do in a project."""
    return Plan(
        project=project,
        photos=PHOTOS,
        written=WRITTEN,
        files=GateFiles(),
        params=read_section(project / "params.yaml", "gate", GateParams),
        find_file=find_file,
    )


def test_what_another_run_left_is_in_no_commit(ran: Path):
    plan, lock = plan_of(ran), (ran / "dvc.lock").read_bytes()
    check_unchanged(plan, Dvc(ran), lock)
    with pytest.raises(UserError, match=r"Changed while this ran: dvc\.lock\. "):
        check_unchanged(plan, Dvc(ran), lock + b"\n")


def test_artifacts_that_the_run_had_no_need_to_fetch_are_not_missed(world: World):
    project = world.clone()
    edit_params(project, **world.kind.finer)
    git(project, "commit", "-qam", "finer")
    done = retrain(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert nodes_run(done) == [world.kind.drawn]
    assert not (project / "artifacts" / "collect" / "train.npz").exists()
    assert not (project / "artifacts" / "finetune" / "model.h5").exists()
    assert list(world.branches()) == [result(project)["branch"]]
