"""Making .venv from the locks, and what `make` starts in it, also where there is no make.

`python -m carbrand setup`, `repro` and `test` do what `make setup`, `repro` and `test` do. Nothing
but the standard library is imported: this runs before any package is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from carbrand.node.errors import DONE, UserError, exit_status

VENV = Path(".venv")
LOCKS = Path("requirements")
# Hashes are required of everything. Of one package no wheel exists; what builds it is locked too,
# which pip would otherwise fetch unchecked.
INSTALL = (
    *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"),
    *("--no-deps", "--no-build-isolation", "--only-binary", ":all:"),
    *("--no-binary", "antlr4-python3-runtime"),
)
INSTALL_PROJECT = (
    *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
    *("--no-deps", "--no-build-isolation", "--editable", "."),
)
# What is run in .venv. Git takes commands from no file that is committed: setup tells it how to
# merge dvc.lock.
PROGRAMS = {
    "setup": ("-m", "carbrand.pipeline.lock_merge", "install"),
    "repro": ("-m", "stages"),
    "test": ("-m", "pytest", "-n", "auto", "--dist", "worksteal"),
}
_WINDOWS = sys.platform == "win32"


def run_in_environment(program: str, arguments: Sequence[str]) -> int:
    """Make .venv if need be, then run one of PROGRAMS in it: its exit status.

    arguments: of the program; of setup, `cpu` or `gpu`.
    """
    tensorflow = known_tensorflow()
    if program == "setup":
        tensorflow, arguments = (*arguments, tensorflow)[0], ()
    python = make_environment(tensorflow, tests=program != "repro")
    # Bytecode was compiled when the environment was made; containers often forbid to write it.
    own = {"PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    own |= {"DVC_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    words, env = [str(python), *PROGRAMS[program], *arguments], os.environ | own
    if not _WINDOWS:
        os.execve(python, words, env)  # a signal to this process is one to what it runs
    return subprocess.run(words, env=env, check=False).returncode


def known_tensorflow() -> str:
    """The TensorFlow, `cpu` or `gpu`, of the environment that is there; `cpu` if there is none."""
    marks = sorted(VENV.glob(".ready-*"))
    return marks[0].name.partition("-")[2] if marks else "cpu"


def make_environment(tensorflow: str, tests: bool) -> Path:
    """Make or complete .venv wherever a lock is newer than it; returns its Python.

    tests: with what tests need. Raises UserError where it cannot be made.
    """
    locks = [LOCKS / "build.txt", LOCKS / f"{tensorflow}.txt"]
    missing = [str(lock) for lock in locks if not lock.is_file()]
    if missing:
        raise UserError(
            f"{missing[0]} is not here, which .venv is made from. Run this in the folder of a "
            "clone; setup takes `cpu` or `gpu`."
        )
    python = (VENV / ("Scripts/python.exe" if _WINDOWS else "bin/python")).absolute()
    mark = VENV / f".ready-{tensorflow}"
    if _is_stale(mark, locks):
        _check_python()
        if VENV.exists():
            shutil.rmtree(VENV)
        venv.create(VENV, with_pip=True, symlinks=not _WINDOWS)
        _run(python, *INSTALL, "-r", str(locks[0]))
        _run(python, *INSTALL, "-r", str(locks[1]))
        _run(python, *INSTALL_PROJECT)
        _finish(python, mark)
    mark = VENV / ".tools-ready"
    if tests and _is_stale(mark, [VENV / f".ready-{tensorflow}", LOCKS / "dev.txt"]):
        _run(python, *INSTALL, "-r", str(LOCKS / "dev.txt"))
        _finish(python, mark)
    return python


def _is_stale(mark: Path, sources: Sequence[Path]) -> bool:
    """Whether the mark is older than one of its sources, as make sees it."""
    return not mark.exists() or any(
        source.stat().st_mtime > mark.stat().st_mtime for source in sources
    )


def _check_python() -> None:
    major, minor = sys.version_info[:2]
    if not (3, 10) <= (major, minor) < (3, 14):
        raise UserError(
            f"Python {major}.{minor} is not supported: TensorFlow needs 3.10 to 3.13. Say which "
            "one to use: make PYTHON=python3.12, on Windows py -3.12 -m carbrand setup."
        )


def _run(python: Path, *arguments: str) -> None:
    if subprocess.run([str(python), *arguments], check=False).returncode:
        raise UserError(
            f"`{python.name} {' '.join(arguments)}` failed, see above; .venv is not complete. "
            "Mend that, then run this again."
        )


def _finish(python: Path, mark: Path) -> None:
    """Compile all modules, and say that this part is complete."""
    packages = VENV / ("Lib" if _WINDOWS else "lib")
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    # Some packages hold files for other Pythons, which do not compile here: no matter.
    command = [str(python), "-m", "compileall", "-q", "-j", "0", str(packages)]
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=False)
    mark.touch()


def main() -> int:
    """`python -m carbrand.pipeline.virtual_environment cpu|gpu [tests]`, for the Makefile."""
    make_environment(sys.argv[1], "tests" in sys.argv[2:])
    return DONE


if __name__ == "__main__":
    sys.exit(exit_status(main))
