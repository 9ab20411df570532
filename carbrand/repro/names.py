"""How names of files are read: as UTF-8, whatever the locale, or a run would depend on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def start_again_in_utf8(module: str, arguments: Sequence[str]) -> None:
    """Become `python -m module arguments…` in UTF-8 mode, where the locale has another encoding.

    Windows and macOS have none.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        command = [sys.executable, "-m", module, *arguments]
        os.execve(sys.executable, command, os.environ | {"PYTHONUTF8": "1"})
