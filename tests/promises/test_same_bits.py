"""The same photos and params give the same bytes, whatever is around them."""

from __future__ import annotations

import csv
import itertools
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT, edit_params, run
from tests.pipeline.test_pipeline import bits

COLD_RUNS = 10
# Python and the pipeline call these; what is in a folder comes in an order that the file system
# chooses, and here in another one for each process.
AROUND = """
import os, random
_rng = random.Random(os.environ["SHUFFLED"])
_listdir, _scandir = os.listdir, os.scandir

def _shuffled(items):
    items = list(items)
    _rng.shuffle(items)
    return items

class _Scan:
    def __init__(self, *path):
        with _scandir(*path) as entries:
            self.entries = iter(_shuffled(entries))
    def __iter__(self):
        return self
    def __next__(self):
        return next(self.entries)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def close(self):
        pass

os.listdir = lambda *path: _shuffled(_listdir(*path))
os.scandir = _Scan
cores = int(os.environ["CORES"])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
"""
ZONES = ("UTC", "Asia/Tokyo", "America/St_Johns", "Pacific/Chatham")
# The last is Python without its own remedy against the C locale: it writes ASCII.
LOCALES: tuple[dict[str, str], ...] = (
    {"LC_ALL": "C"},
    {"LC_ALL": "C.UTF-8"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "1"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
)
FOLDERS = ("project", "a folder with spaces", "Škoda & söhne", "-x", "deep/er/and/deep/er/still")
INSTRUCTIONS = {
    "oneDNN up to SSE 4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "oneDNN up to AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "OpenBLAS for Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "OpenBLAS for Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
}
ONEDNN_OFF_AND_ON = {
    "without oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "oneDNN up to SSE 4.1": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "oneDNN up to AVX2": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
MOST_APART = 1e-4
Figure = Callable[[str], None]


def surroundings(folder: Path, number: int) -> dict[str, str]:
    """An environment that is another one for each number."""
    around = folder / f"around {number}"
    around.mkdir(parents=True)
    (around / "sitecustomize.py").write_text(AROUND, "utf-8")
    return {
        "PYTHONPATH": str(around),
        "SHUFFLED": str(number),
        "CORES": str(1 + number % 2),
        "PYTHONHASHSEED": str(77 * number),
        "TZ": ZONES[(number + 1) % len(ZONES)],
        "HOME": str(around),
        "TMPDIR": str(around),
        **LOCALES[-1 - number % len(LOCALES)],
    }


def copy_cold(project: Path, target: Path, number: int) -> Path:
    """A copy without anything that a run left behind, its files made in another order."""
    made = {".git", ".vectors", ".training", ".made_by", "artifacts", "cache", "tmp"}
    made |= {"dvc.lock", "__pycache__"}
    files = [
        path
        for path in sorted(project.rglob("*"))
        if path.is_file() and not made.intersection(path.relative_to(project).parts)
    ]
    random.Random(number).shuffle(files)
    for path in files:
        copy = target / path.relative_to(project)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        os.utime(copy, (10**9 + number, 10**9 + number))
    return target


def run_cold(project: Path, environment: Mapping[str, str]) -> dict[str, str]:
    assert not (project / "artifacts").exists()
    assert not (project / ".vectors").exists()
    done = run([sys.executable, "-m", "stages"], project, environment)
    assert done.returncode == 0, done.stderr
    assert "cached" not in done.stdout, done.stdout
    return bits(project)


def test_cold_runs_in_other_surroundings_give_the_same_bytes(
    finished: Path, thorough: bool, figure: Figure, tmp_path: Path
) -> None:
    expected, lock = bits(finished), (finished / "dvc.lock").read_bytes()
    numbers = range(1, COLD_RUNS + 1) if thorough else [8]  # ASCII, spaces, one core
    names = itertools.cycle(FOLDERS)
    for number, name in zip(numbers, itertools.islice(names, 1, None), strict=False):
        project = copy_cold(finished, tmp_path / str(number) / name, number)
        found = run_cold(project, surroundings(tmp_path / str(number), number))
        assert found == expected, number
        assert (project / "dvc.lock").read_bytes() == lock
        shutil.rmtree(project)
    figure(f"{1 + len(numbers)} cold runs, {len(expected)} artifacts, one sha256 of each")


def predictions(evaluated: Path) -> list[dict[str, str]]:
    with (evaluated / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def apart(one: Path, other: Path) -> float:
    """How far the probabilities of two runs are apart, if they name the same brands."""
    worst = 0.0
    for first, second in zip(predictions(one), predictions(other), strict=True):
        assert (first["path"], first["predicted"]) == (second["path"], second["predicted"])
        names = [name for name in first if name.startswith("p_")]
        worst = max(worst, *(abs(float(first[name]) - float(second[name])) for name in names))
    return worst


def assert_close(one: Path, other: Path, figure: Figure, what: str) -> None:
    """The same brands and metrics, and probabilities that are next to the same."""
    worst = apart(one, other)
    figure(f"{what}: {len(predictions(one))} photos, probabilities at most {worst:.6f} apart")
    assert worst <= MOST_APART
    assert (one / "metrics.json").read_bytes() == (other / "metrics.json").read_bytes()


@pytest.mark.parametrize("instructions", ["oneDNN up to SSE 4.1"])
def test_a_model_says_the_same_on_a_processor_that_can_do_less(
    finished: Path, figure: Figure, instructions: str
) -> None:
    command = [
        "params.yaml",
        "artifacts/finetune/model.h5",
        "artifacts/validate",
        "artifacts/features",
    ]
    done = run(
        [sys.executable, "-m", "stages.evaluate", *command, "again"],
        finished,
        INSTRUCTIONS[instructions],
    )
    assert done.returncode == 0, done.stderr
    assert_close(finished / "artifacts" / "evaluate", finished / "again", figure, instructions)


@pytest.fixture(params=["drawn", "sample"])
def photos(request: pytest.FixtureRequest, finished: Path, tmp_path: Path) -> Path:
    """A project that has not run: the drawn photos at 64 px, or the sample with its own params."""
    project = copy_cold(finished, tmp_path / "fresh", 0)
    if request.param == "sample":
        shutil.rmtree(project / "Datasets")
        shutil.copytree(ROOT / "Datasets", project / "Datasets")
        shutil.copyfile(ROOT / "params.yaml", project / "params.yaml")
    return project


@pytest.mark.parametrize("engine", ["openvino", "keras"])
def test_other_instruction_sets_give_the_same_brands_and_metrics(
    photos: Path, engine: str, thorough: bool, figure: Figure, tmp_path: Path
) -> None:
    if not thorough:
        pytest.skip("takes minutes: make torture")
    edit_params(photos, features__engine=engine)
    settings = INSTRUCTIONS if engine == "openvino" else ONEDNN_OFF_AND_ON
    runs: Iterator[tuple[str, dict[str, str]]] = iter({"as it is": {}, **settings}.items())
    first, environment = next(runs)
    usual = copy_cold(photos, tmp_path / first, 0)
    run_cold(usual, environment)
    for name, environment in runs:
        project = copy_cold(photos, tmp_path / name, 0)
        run_cold(project, environment)
        evaluated = project / "artifacts" / "evaluate"
        assert_close(usual / "artifacts" / "evaluate", evaluated, figure, f"{engine}, {name}")
        shutil.rmtree(project)
