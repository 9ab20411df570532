"""A changed parameter, photo or module reruns the nodes that depend on it, and no other."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from networkx import ancestors

from carbrand.node.files.dvc_lock import DvcLock
from carbrand.pipeline.dvc_files import read_outputs
from stages.__main__ import SECTIONS
from tests.conftest import ROOT, copy_project, draw_photo, edit_params, git, run
from tests.support.local_imports import local_imports
from tests.support.running import in_torture

KNOBS = [(name, field) for name in SECTIONS for field in dataclasses.fields(SECTIONS[name])]
NODES = [name for name in SECTIONS if name not in ("gate", "drift")]
# Of the section `validate`, by the nodes that find more copies or hear of them.
SEVERITIES_READ_BY = {
    "label_conflict": {"train", "evaluate"},
    "duplicate": {"train", "evaluate"},
    "leaked": {"evaluate"},
    "series": {"evaluate"},
}


@pytest.fixture(scope="module")
def shared(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished project for all tests that change a single file and put it back."""
    target = tmp_path_factory.mktemp("shared") / "project"
    return Path(shutil.copytree(_finished, target, symlinks=True))


@contextlib.contextmanager
def put_back_afterwards(file: Path) -> Iterator[None]:
    content = file.read_bytes()
    try:
        yield
    finally:
        file.write_bytes(content)


def another_value(field, value):
    """A value that is valid too, if there is one, and not this one."""
    choices = field.metadata["choices"]
    if choices:
        return next(choice for choice in choices if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return "weights/other.h5"
    low, high = field.metadata["low"], field.metadata["high"]
    step = 1 if isinstance(value, int) else 0.1
    upwards = value + step
    return upwards if upwards <= high or low == high else max(low, value - step)


def changes(project: Path) -> dict[str, set[str]]:
    """What of each node DVC says has changed: paths, parameters, its command.

    What an earlier node writes and nobody has made yet, as in a new clone, is no change.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        with Repo(str(project)) as repo:
            status = repo.status()
    return {
        node: {name for entry in entries for name in _real_changes(entry)}
        for node, entries in status.items()
    }


def _real_changes(entry: str | dict) -> Iterator[str]:
    if isinstance(entry, str):
        yield from [entry] if entry == "changed command" else []
        return
    for path, how in entry.get("changed deps", {}).items():
        if isinstance(how, dict):
            yield from how  # parameters
        elif how != "deleted" or not path.startswith("artifacts/"):
            yield path


def changed_nodes(project: Path) -> set[str]:
    return {node for node, names in changes(project).items() if names}


@pytest.fixture(scope="module")
def params_of_nodes(shared: Path) -> Iterator[dict[str, list[ParamsDependency]]]:
    """What of params.yaml each node depends on, as DVC has read it from dvc.yaml and dvc.lock."""
    with Repo(str(shared)) as repo:
        yield {
            stage.name: [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            for stage in repo.index.stages
        }


@pytest.mark.parametrize(
    ("section", "field"), KNOBS, ids=[f"{name}.{field.name}" for name, field in KNOBS]
)
def test_a_parameter_reruns_its_node_and_one_of_the_gate_reruns_nothing(
    section, field, shared, params_of_nodes, monkeypatch
):
    monkeypatch.chdir(shared)
    value = yaml.safe_load((shared / "params.yaml").read_text())[section][field.name]
    with put_back_afterwards(shared / "params.yaml"):
        edit_params(shared, **{f"{section}__{field.name}": another_value(field, value)})
        rerun = {
            node
            for node, params in params_of_nodes.items()
            if any(dependency.workspace_status() for dependency in params)
        }
    readers = {section} & set(NODES)
    if section == "validate":
        readers |= SEVERITIES_READ_BY.get(field.name, set())
    assert rerun == readers


@pytest.mark.parametrize(
    ("node", "after_it"),
    [
        ("train", {"finetune", "evaluate", "plot"}),
        ("finetune", {"evaluate", "plot"}),
        ("evaluate", {"plot"}),
        ("plot", set()),
    ],
)
def test_after_a_node_those_run_that_read_what_it_writes_and_no_other(node, after_it, shared):
    with Repo(str(shared)) as repo:
        stages = {stage.name: stage for stage in repo.index.stages}
        found = {stage.name for stage in ancestors(repo.index.graph, stages[node])}
    assert found == after_it


def test_copies_among_test_photos_rerun_no_training(shared):
    found = shared / "artifacts/features/test_copies.csv"
    with put_back_afterwards(found):
        found.write_text(found.read_text() + "a,b,leaked,1.000,false\n")
        assert changed_nodes(shared) == {"evaluate"}


@pytest.mark.parametrize("node", NODES)
def test_dvc_status_names_the_node_whose_section_changed(node, shared):
    (field, *_) = (field for name, field in KNOBS if name == node)
    value = yaml.safe_load((shared / "params.yaml").read_text())[node][field.name]
    with put_back_afterwards(shared / "params.yaml"):
        edit_params(shared, **{f"{node}__{field.name}": another_value(field, value)})
        assert changed_nodes(shared) == {node}


def test_nothing_changed_reruns_nothing(shared):
    assert changed_nodes(shared) == set()


def rooms_by_users() -> dict[tuple[str, ...], list[str]]:
    """The rooms that the same nodes import from: that each is in their `deps`, test_wiring sees."""
    imported = {node: local_imports(ROOT / "stages" / f"{node}.py") for node in NODES}
    rooms = sorted(
        {
            path.split("/")[1]
            for path in set().union(*imported.values())
            if "/" in path and path.startswith("carbrand/")
        }
    )
    groups: dict[tuple[str, ...], list[str]] = {}
    for room in rooms:
        users = tuple(
            n
            for n, paths in imported.items()
            if any(p.startswith(f"carbrand/{room}/") for p in paths)
        )
        groups.setdefault(users, []).append(room)
    return groups


@pytest.fixture(scope="module")
def after_every_room(shared: Path) -> dict[str, set[str]]:
    """What changes for DVC where a module of every room that nodes import from has another line."""
    with contextlib.ExitStack() as stack:
        for room in (room for rooms in rooms_by_users().values() for room in rooms):
            module = sorted((shared / "carbrand" / room).rglob("*.py"))[-1]
            stack.enter_context(put_back_afterwards(module))
            with module.open("a") as file:
                file.write("# changed\n")
        return changes(shared)


@pytest.mark.parametrize(("users", "rooms"), rooms_by_users().items(), ids=" ".join)
def test_a_module_reruns_the_nodes_that_import_from_its_room(users, rooms, after_every_room):
    for room in rooms:
        rerun = {node for node, names in after_every_room.items() if f"carbrand/{room}" in names}
        assert rerun == set(users)


@pytest.mark.parametrize("node", NODES)
def test_a_change_of_a_node_reruns_it_and_no_other(node, shared):
    with put_back_afterwards(shared / "stages" / f"{node}.py"):
        with (shared / "stages" / f"{node}.py").open("a") as file:
            file.write("# changed\n")
        assert changed_nodes(shared) == {node}


def test_weights_of_ones_own_are_watched(finished):
    (finished / "weights" / "mine.h5").write_bytes(b"x")
    assert changed_nodes(finished) == {"features"}


def ran(project: Path) -> list[str]:
    """What `make repro` calls; the nodes that it ran."""
    result = run([sys.executable, "-m", "stages"], project)
    assert result.returncode == 0, result.stdout + result.stderr
    return [line.split("'")[1] for line in result.stdout.splitlines() if line.startswith("Running")]


@pytest.fixture
def reran(_finished: Path, _penalty: Path, other_photos: Path) -> list[set[str]]:
    """The nodes with another entry in dvc.lock: after another train.l2, and other test photos."""
    first, *others = (
        DvcLock.read(project / "dvc.lock").nodes for project in (_finished, _penalty, other_photos)
    )
    return [{node for node in first if nodes[node] != first[node]} for nodes in others]


def test_a_run_reruns_what_depends_on_its_change(reran):
    """A new test photo cannot change what was learned: the same vectors come out of `features`."""
    assert reran == [
        {"train", "finetune", "evaluate", "plot"},
        {"validate", "features", "evaluate", "plot"},
    ]


@in_torture
def test_one_run_after_another_does_what_it_must(finished):
    """The whole way through DVC, once per kind of change: each costs seconds."""
    assert ran(finished) == []
    edit_params(finished, plot__dpi=60)
    assert ran(finished) == ["plot"]
    edit_params(finished, train__l2=0.05)
    assert ran(finished) == ["train", "finetune", "evaluate", "plot"]
    target = finished / "Datasets" / "test" / "asta" / "new.png"
    draw_photo((200, 30, 30), 555).save(target)
    assert ran(finished) == ["validate", "features", "evaluate", "plot"]
    # Back to what was: the run cache knows it all.
    target.unlink()
    shutil.rmtree(finished / "artifacts")
    assert ran(finished) == []
    metrics = json.loads((finished / "artifacts/evaluate/metrics.json").read_text())
    assert metrics["as_given"]["images"] == 9


@pytest.mark.usefixtures("sample_in_place")
def test_the_committed_lock_is_that_of_the_committed_tree(tmp_path):
    """dvc.lock and metrics in the repository come from this code, these params and these photos."""
    project = copy_project(tmp_path / "project")
    shutil.copytree(ROOT / "Datasets", project / "Datasets")
    shutil.copy(ROOT / "dvc.lock", project)
    git(project, "init", "-q")
    assert changed_nodes(project) == set()
    lock = DvcLock.read(Path("dvc.lock")).nodes
    for output in read_outputs():
        if not output.cached:
            (entry,) = [o for o in lock[output.node]["outs"] if o["path"] == output.path.as_posix()]
            content = (ROOT / output.path).read_bytes()
            assert hashlib.md5(content, usedforsecurity=False).hexdigest() == entry["md5"]
