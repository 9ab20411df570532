"""All output to the terminal, with control characters escaped.

File names, arguments and brands are untrusted: they may hold escape sequences, line breaks and
bidirectional marks.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

# Invisible, but Persian and emoji are written with them: zero-width non-joiner and joiner.
_JOINERS = "\u200c\u200d"


def escape(text: str) -> str:
    r"""Escape what a terminal would act on as Python does: `\x1b`, `\n`. Idempotent.

    These are controls (C0, DEL, C1), line and paragraph separators, lone surrogates, and format
    characters such as bidirectional marks.
    """
    if text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode("ascii") if _acts(letter) else letter
        for letter in text
    )


def print_line(line: str, flush: bool = False) -> None:
    """Print a line of the result to stdout."""
    _write(sys.stdout, escape(line), flush)


def print_lines(text: str, flush: bool = False) -> None:
    """Print a text of several lines, each of them escaped. Names in it must hold no line breaks."""
    for line in text.split("\n"):
        print_line(line, flush)


def print_note(line: str) -> None:
    """Print an error, a warning or a note to stderr."""
    _write(sys.stderr, escape(line), flush=True)


def print_json(value: Any) -> None:
    """Print JSON to stdout, with control characters as JSON escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    safe = text if text.isprintable() else "".join(_in_json(letter) for letter in text)
    _write(sys.stdout, safe, flush=False)


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
    """An ArgumentParser that escapes arguments in its error messages."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and `message`, and exit with status 2."""
        super().error(escape(message))


def _write(stream: TextIO, line: str, flush: bool) -> None:
    # In one piece, with its end: `print` writes the end by itself, and a signal may come between.
    stream.write(f"{line}\n")
    if flush:
        stream.flush()


def _acts(letter: str) -> bool:
    kind = unicodedata.category(letter)
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and letter not in _JOINERS)


def _in_json(letter: str) -> str:
    # Line feeds are only between values: json.dumps escapes those in strings.
    return json.dumps(letter)[1:-1] if letter != "\n" and _acts(letter) else letter
