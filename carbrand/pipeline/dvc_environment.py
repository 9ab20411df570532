"""The environment in which DVC and the nodes run."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from carbrand.pipeline.dvc_notes import closed_notes


def environment(project: Path) -> dict[str, str]:
    """This process's, with the Python that runs it first on PATH, and DVC's notes closed."""
    own = {"PATH": this_python_first(), "DVC_NO_ANALYTICS": "1"}
    return {**os.environ, **own, **_somebody(project), **closed_notes(project)}


def this_python_first() -> str:
    """PATH by which `python`, as nodes are called, is the one that runs this.

    Also where no environment is activated.
    """
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _somebody(project: Path) -> dict[str, str]:
    """A name and a home, which DVC demands, for a user of whom the system knows neither.

    Containers run as such users. The home need not exist, and nobody else can write there.
    """
    missing = {}
    try:
        getpass.getuser()
    except (KeyError, OSError):  # the second from Python 3.13 on
        missing["LOGNAME"] = "somebody"
    try:
        Path.home()
    except RuntimeError:
        missing["HOME"] = str((project / ".dvc" / "tmp" / "home").resolve())
    return missing
