"""How names of files are read, as UTF-8, whatever the locale, and how they are printed."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence


def start_again_in_utf8(module: str, arguments: Sequence[str]) -> None:
    """Become `python -m module arguments…` in UTF-8 mode, where the locale has another encoding.

    Or else a run would depend on it. Windows and macOS have none.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        command = [sys.executable, "-m", module, *arguments]
        os.execve(sys.executable, command, os.environ | {"PYTHONUTF8": "1"})


def print_any_name() -> None:
    """From now on, a file name that the terminal cannot show is printed with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
