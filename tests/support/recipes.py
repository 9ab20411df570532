"""Recipes: the console blocks of README and docs/, to be run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT, SET_BY_TESTS

_BLOCK = re.compile(r"^```(?:console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "


def documents() -> list[str]:
    """The README and all pages of docs/, the log among them."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", *(page.relative_to(ROOT).as_posix() for page in pages)]


def recipes(document: str) -> list[str]:
    """The blocks of a document; of those with prompts, what follows a prompt."""
    return [_commands(block) for block in _BLOCK.findall((ROOT / document).read_text("utf-8"))]


def _commands(block: str) -> str:
    lines = block.splitlines()
    if any(line.startswith(_PROMPT) for line in lines):
        lines = [line.removeprefix(_PROMPT) for line in lines if line.startswith(_PROMPT)]
    return "\n".join(lines) + "\n"


def give_environment(project: Path) -> None:
    """A .venv that is this one, and that `make` takes for ready."""
    environment, real = project / ".venv", Path(sys.prefix)
    environment.mkdir()
    for folder in ("bin", "lib"):
        (environment / folder).symlink_to(real / folder)
    shutil.copy(real / "pyvenv.cfg", environment)
    for stamp in (".ready-cpu", ".tools-ready"):
        (environment / stamp).touch()


def follow(
    text: str, project: Path, replaced: Mapping[str, str] | None = None, status: int = 0
) -> str:
    """Run a recipe in a shell without the environment; what it printed.

    replaced: what a user would write instead. status: of the last command, all others give 0.
    """
    for old, new in (replaced or {}).items():
        assert old in text, f"{old} is not in the recipe:\n{text}"
        text = text.replace(old, new)
    places = os.environ["PATH"].split(os.pathsep)
    clean = {name: value for name, value in os.environ.items() if name not in SET_BY_TESTS}
    result = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=project,
        env=clean
        | {
            "PATH": os.pathsep.join(p for p in places if not Path(p, "dvc").exists()),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{role}_NAME": "tests" for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": "tests@example.invalid" for role in ("AUTHOR", "COMMITTER")},
            "DVC_NO_ANALYTICS": "1",
            "BROWSER": "true",
        },
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert result.returncode == status, f"{text}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr
