"""`python -m carbrand setup`, `repro` and `test`: what make does, where there is no make."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from carbrand.pipeline.virtual_environment import PROGRAMS
from tests.conftest import ROOT, run
from tests.support.running import in_torture

# A package that installs itself with the standard library: no index is asked.
BUILD = """
import base64, hashlib, zipfile
from pathlib import Path

def build_editable(folder, settings=None, metadata=None):
    name = "small-1-py3-none-any.whl"
    info = {"METADATA": "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n", "RECORD": "",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        wheel.writestr("small.pth", str(Path.cwd()))
        for file, text in info.items():
            wheel.writestr(f"small-1.dist-info/{file}", text)
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "small"
version = "1"
"""
STAGES = "import os, sys; print(sys.prefix, sys.argv[1:], os.environ['PATH'].split(os.pathsep)[0])"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with empty locks, nodes that print where they run, and the package itself."""
    folder = tmp_path / "a clone"
    for name in ("requirements", "stages"):
        (folder / name).mkdir(parents=True)
    for lock in ("build", "cpu", "gpu", "dev"):
        (folder / f"requirements/{lock}.txt").write_text("", "utf-8")
    (folder / "backend.py").write_text(BUILD, "utf-8")
    (folder / "pyproject.toml").write_text(PROJECT, "utf-8")
    (folder / "stages/__main__.py").write_text(STAGES, "utf-8")
    shutil.copytree(ROOT / "carbrand", folder / "carbrand")
    return folder


def call(clone: Path, *arguments: str, expected: int = 0) -> str:
    """With a Python that has no package of ours, as before a setup."""
    base = Path(sys.base_prefix, "python.exe" if os.name == "nt" else "bin/python3")
    result = run([str(base), "-m", "carbrand", *arguments], clone, {"PYTHONPATH": ""})
    assert result.returncode == expected, result.stderr
    return result.stdout + result.stderr


@in_torture  # `.ci/run` makes one, too
def test_it_makes_the_environment_once_and_again_when_a_lock_is_newer(clone):
    printed = call(clone, "repro", "--dry", "two words")
    assert f"{clone / '.venv'} ['--dry', 'two words'] {clone / '.venv'}" in printed
    mark = clone / ".venv/.ready-cpu"
    made = mark.stat().st_mtime_ns
    assert "[]" in call(clone, "repro")
    assert mark.stat().st_mtime_ns == made
    os.utime(clone / "requirements/cpu.txt", ns=(made + 10**9, made + 10**9))
    (clone / "requirements/cpu.txt").write_text("a-package-without-hashes==1\n", "utf-8")
    os.utime(clone / "requirements/cpu.txt", ns=(made + 10**9, made + 10**9))
    assert "requirements/cpu.txt` failed" in call(clone, "repro", expected=2)
    assert not mark.exists()
    (clone / "requirements/cpu.txt").write_text("", "utf-8")
    assert "[]" in call(clone, "repro")


def test_outside_of_a_clone_it_says_where_to_run_it(clone):
    shutil.rmtree(clone / "requirements")
    for program in PROGRAMS:
        assert "build.txt is not here" in call(clone, program, expected=2)
    assert not (clone / ".venv").exists()


def test_it_does_what_make_does():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for program, command in PROGRAMS.items():
        target = "merge-drivers" if program == "setup" else program
        recipe = re.search(rf"^{target}: .*\n\t.*", makefile, re.MULTILINE)
        assert recipe
        assert " ".join(command) in recipe[0]
