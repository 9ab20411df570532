"""A project with DVC and Git that is run as the real one is, in which a run costs two seconds.

For tests of what is around the nodes: DVC, signals, locks, healing, Git. Its nodes are NumPy alone,
are started as the real ones are, and write the same kinds of files.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from carbrand.node.files.dvc_yaml import parse_yaml
from tests.conftest import ROOT, draw_dataset, edit_params, git, run
from tests.support.copies import copy_made, lent

HERE = Path(__file__).parent / "project"
NODES = ("collect", "fit", "show")
# The variable by which a node rests: `fit works=600` at work, `fit writes=600` between two files.
PAUSE = "TOY_PAUSE"
# A node that the gate judges, for a toy that is retrained.
JUDGED = """
  evaluate:
    desc: Name the brand of test photos
    cmd: python stages/nearest.py
    deps:
      - Datasets/train
      - Datasets/test
      - artifacts/fit/model.npz
      - stages/nearest.py
    params:
      - evaluate.ece_bins
    metrics:
      - artifacts/evaluate/predictions.csv:
          cache: false
      - artifacts/evaluate/metrics.json:
          cache: false
"""
MODEL = "artifacts/fit/model.npz"


def make_toy(target: Path, judged: bool = False) -> Path:
    """The toy with a few drawn photos, committed; no node ever ran.

    judged: with a node more, which the gate asks for.
    """
    shutil.copytree(HERE, target, ignore=shutil.ignore_patterns("__pycache__"))
    # Under its own name, DVC would find it in this repository as well.
    (target / "pipeline.yaml").rename(target / "dvc.yaml")
    # The library beside these tests, also in a copy of the project in which a fault is planted: not
    # whatever is installed.
    (target / "carbrand").symlink_to(ROOT / "carbrand")
    for name in (".gitattributes", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, target)
    (target / ".dvc").mkdir()
    for name in (".gitignore", "config"):
        shutil.copy(ROOT / ".dvc" / name, target / ".dvc")
    draw_dataset(target / "Datasets")
    if judged:
        add_judged(target)
    edit_params(
        target
    )  # as any later change writes it: without comments, or changes would conflict
    git(target, "init", "-q", "-b", "main")
    git(target, "add", "-A")
    git(target, "commit", "-qm", "start")
    return target


def add_judged(project: Path) -> None:
    """The node that the gate asks for, before the last one, and its sections of params.yaml."""
    shutil.copy(HERE.parent / "nearest.py", project / "stages")
    file = project / "dvc.yaml"
    before_it = "      - artifacts/fit/history.csv\n"
    nodes = file.read_text("utf-8").replace(
        before_it, f"{before_it}      - artifacts/evaluate/metrics.json\n"
    )
    file.write_text(nodes + JUDGED, "utf-8", newline="\n")
    real = parse_yaml((ROOT / "params.yaml").read_text("utf-8"))
    with (project / "params.yaml").open("a", encoding="utf-8", newline="\n") as params:
        yaml.safe_dump({name: real[name] for name in ("evaluate", "gate")}, params)


def repro(project: Path, *arguments: str, **environment: str) -> list[str]:
    """What `make repro` calls; the nodes that it ran."""
    result = run([sys.executable, "-m", "stages", *arguments], project, environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return [line.split("'")[1] for line in result.stdout.splitlines() if line.startswith("Running")]


def _finish(project: Path) -> None:
    make_toy(project)
    assert repro(project) == list(NODES)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "first run")
    git(project, "gc", "-q")


@pytest.fixture(scope="session")
def _toy(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    return made_once("toy", _finish)


@pytest.fixture
def toy(_toy: Path, tmp_path: Path) -> Iterator[Path]:
    """A toy of one's own in which the pipeline ran and was committed."""
    with lent(_toy, tmp_path / "project") as project:
        yield project


@pytest.fixture(scope="session")
def _toy_penalty(_toy: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Finished on `main`, and on a branch `penalty`, which is checked out: fit.l2 is another."""

    def make(project: Path) -> None:
        copy_made(_toy, project)
        git(project, "checkout", "-qb", "penalty")
        edit_params(project, fit__l2=0.05)
        assert repro(project) == ["fit", "show"]
        git(project, "commit", "-qam", "penalty")

    return made_once("toy-penalty", make)
