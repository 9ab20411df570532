"""A Python without the packages says so in one line, however a program of ours is started."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, run

# Without what is installed, as another Python of the machine.
BARE = (sys.executable, "-S")
NODES = [f"stages.{path.stem}" for path in sorted((ROOT / "stages").glob("[!_]*.py"))]
# All that is meant to be run, and modules that are not, each with another first import.
MODULES = [
    *("carbrand", "carbrand.cli", "carbrand.pipeline.lock_merge", "carbrand.pipeline.made_by"),
    *(
        "carbrand.pipeline.dvc",
        "carbrand.training.head",
        "carbrand.photos.photo",
        "carbrand.serve.server",
    ),
]


def check_line(result) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: The package ")
    assert f" is not installed for {sys.executable}. " in line
    assert "`make repro`" in line
    assert "activate" in line


@pytest.mark.parametrize("module", ["stages", *NODES, *MODULES])
def test_a_module_that_is_run_names_the_first_package_that_is_missing(module):
    check_line(run([*BARE, "-m", module, "merge"], ROOT))


def test_so_does_the_command():
    program = shutil.which("carbrand", path=str(Path(sys.executable).parent))
    assert program, "carbrand is not installed beside this Python"
    check_line(run([*BARE, program, "predict", "x.jpg"], ROOT, {"PYTHONPATH": os.fspath(ROOT)}))


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("import rich_and_famous.deep", "error: The package rich_and_famous is not installed"),
        ("import carbrand.nonsense", "Traceback"),  # ours: no package can mend it
        ("1 / 0", "Traceback"),
    ],
)
def test_what_is_imported_late_counts_and_no_other_mistake(raised, said, tmp_path):
    (tmp_path / "late.py").write_text(
        f"import sys; sys.argv = ['-m']; import carbrand\ndef main(): {raised}\nmain()"
    )
    result = run([sys.executable, "late.py"], tmp_path, {"PYTHONPATH": os.fspath(ROOT)})
    assert result.stderr.startswith(said)
    assert result.returncode == (1 if said == "Traceback" else 2)


def test_to_a_program_of_somebody_else_python_says_what_it_says():
    script = "import carbrand, nothing_of_that_name"
    result = run([sys.executable, "-c", script], ROOT)
    assert "ModuleNotFoundError: No module named 'nothing_of_that_name'" in result.stderr
