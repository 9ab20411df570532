"""Promise: the tests would notice. Faults that would hurt somebody are planted, and each is caught.

In every run it is made sure that all faults can still be planted; `make torture` plants them.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from carbrand.parallel.batches import usable_cores
from tests.conftest import ROOT, copy_project
from tests.promises.mutants import MUTANTS, Mutant

# What the README promises to have tried.
KINDS = {"preprocessing", "training", "calibration", "evaluation", "leaks", "reruns", "gate"}
LEAST = 30
_ENDED = re.compile(
    r"^(FAILED|ERROR|PASSED|SKIPPED)(?: \[\d+\])? (tests/.+?)(?: - .*)?$", re.MULTILINE
)


def test_there_are_enough_faults_of_every_kind():
    counts = Counter(mutant.kind for mutant in MUTANTS)
    assert len(MUTANTS) >= LEAST
    assert {kind for kind, count in counts.items() if count >= 2} >= KINDS
    assert len({mutant.fault for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)
def test_a_fault_can_be_planted_and_has_its_test(mutant):
    text = (ROOT / mutant.file).read_text("utf-8")
    assert text.count(mutant.old) == 1, f"{mutant.file} has changed: choose another place"
    changed = text.replace(mutant.old, mutant.new)
    assert changed != text
    if mutant.file.endswith(".py"):
        compile(changed, mutant.file, "exec")  # a slip of the pen is no fault of a program
    assert mutant.tests
    for name in mutant.tests:
        file, _, function = name.partition("::")
        assert function.partition("[")[0] in functions(ROOT / file)
    assert len({name.partition("::")[0] for name in mutant.tests}) == 1


@cache
def functions(file: Path) -> set[str]:
    """The tests of a file, which is not imported."""
    body = ast.parse(file.read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


@dataclass(frozen=True)
class Run:
    """How tests ended, by their outcome, and what pytest printed."""

    ended: dict[str, set[str]]
    seconds: float
    printed: str

    def all(self, names: Collection[str], outcome: str) -> bool:
        """Whether each of the tests, or some case of it, ended so, and nothing in another way.

        Cases of one test may differ: a fault need not show in all of them.
        """
        others = {"FAILED", "ERROR", "PASSED", "SKIPPED"} - {outcome}
        if outcome == "FAILED":
            others -= {"PASSED"}
        return not any(self.ended[other] for other in others) and all(
            any(found == name or found.startswith(f"{name}[") for found in self.ended[outcome])
            for name in names
        )


def run_tests(project: Path, names: Collection[str]) -> Run:
    """The tests of a copy of the project, which imports its own modules.

    But commands that a test starts in another folder import those that are installed: no fault in
    them is ever caught by such a test.
    """
    began = time.monotonic()
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *sorted(names)],
        cwd=project,
        env=env | {"TORTURE": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    ended: dict[str, set[str]] = {name: set() for name in ("FAILED", "ERROR", "PASSED", "SKIPPED")}
    for outcome, name in _ENDED.findall(done.stdout):
        ended[outcome].add(name)
    return Run(ended, time.monotonic() - began, done.stdout + done.stderr)


def copy_with_photos(target: Path) -> Path:
    """A copy of the project that tests can run in: they read the sample and its tables."""
    shutil.copytree(ROOT / "Datasets", copy_project(target) / "Datasets")
    return target


def plant(mutant: Mutant, project: Path) -> None:
    """Put the fault into a copy of the project."""
    file = project / mutant.file
    file.write_text(file.read_text("utf-8").replace(mutant.old, mutant.new), "utf-8")


def test_every_planted_fault_is_caught(
    tmp_path: Path, thorough: bool, figure: Callable[[str], None]
) -> None:
    """By failing tests, which pass where nothing is planted; not by an error on the way to them."""
    if not thorough:
        pytest.skip("takes a quarter of an hour: make torture")
    everything = {name for mutant in MUTANTS for name in mutant.tests}
    sound = run_tests(copy_with_photos(tmp_path / "sound"), everything)
    assert sound.all(everything, "PASSED"), sound.printed

    def try_one(mutant: Mutant) -> tuple[Mutant, Run]:
        folder = tmp_path / str(MUTANTS.index(mutant))
        plant(mutant, copy_with_photos(folder))
        run = run_tests(folder, mutant.tests)
        shutil.rmtree(folder)
        return mutant, run

    missed = []
    with ThreadPoolExecutor(usable_cores()) as pool:
        for mutant, run in pool.map(try_one, MUTANTS):
            caught = run.all(mutant.tests, "FAILED")
            by = ", ".join(name.rpartition("::test_")[2] for name in mutant.tests)
            verdict = f"caught by {by}" if caught else "NOT CAUGHT"
            figure(f"{mutant.kind}: {mutant.fault} → {verdict} ({run.seconds:.0f} s)")
            if not caught:
                missed.append(f"{mutant.fault}:\n{run.printed[-2000:]}")
    figure(f"{len(MUTANTS) - len(missed)} of {len(MUTANTS)} planted faults are caught")
    assert not missed, "\n\n".join(missed)
