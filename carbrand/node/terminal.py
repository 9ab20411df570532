"""The one way to a terminal: no name that is printed can act on it, or pass for a line of its own.

File names, arguments and brands come from anybody, and may hold escape sequences, line breaks and
marks that turn the direction of writing. Whatever is printed goes through here.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, NoReturn

# Invisible, but Persian and emoji are written with them: zero-width non-joiner and joiner.
_JOINERS = "\u200c\u200d"


def escape(text: str) -> str:
    r"""`text` on one line, with what a terminal would act on as Python spells it: `\x1b`, `\n`.

    These are controls (C0, DEL, C1), line and paragraph separators, halves of surrogate pairs, and
    invisible marks such as those of the writing direction. Escaping twice changes nothing more.
    """
    if text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode("ascii") if _acts(letter) else letter
        for letter in text
    )


def print_line(line: str, flush: bool = False) -> None:
    """A line of what was asked for, on stdout."""
    print(escape(line), flush=flush)


def print_lines(text: str, flush: bool = False) -> None:
    """A text of several lines, of which each name is known to lie on one."""
    for line in text.split("\n"):
        print_line(line, flush)


def print_note(line: str) -> None:
    """A line beside what was asked for, on stderr: an error, a warning, a note."""
    print(escape(line), file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """JSON on stdout, in which every text is exact and none acts on a terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print("".join(_in_json(letter) for letter in text) if not text.isprintable() else text)


def restart_in_utf8(module: str, arguments: Sequence[str]) -> None:
    """Become `python -m module arguments…` in UTF-8 mode, where the locale has another encoding.

    Otherwise file names, and so a run, would depend on it. Windows and macOS always have UTF-8.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        command = [sys.executable, "-m", module, *arguments]
        os.execve(sys.executable, command, os.environ | {"PYTHONUTF8": "1"})


def print_any_name() -> None:
    """From now on, print with escapes what the encoding of the terminal does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that repeats a wrong argument as it can be shown."""

    def error(self, message: str) -> NoReturn:
        """Print `message` with the usage, and leave with status 2."""
        super().error(escape(message))


def _acts(letter: str) -> bool:
    kind = unicodedata.category(letter)
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and letter not in _JOINERS)


def _in_json(letter: str) -> str:
    # A line feed lies between values only: within a text, JSON has it escaped already.
    return json.dumps(letter)[1:-1] if letter != "\n" and _acts(letter) else letter
