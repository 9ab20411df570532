"""Errors for users: what is wrong, where, and how to fix it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import PurePath
from types import TracebackType

from carbrand.node.processes import Stopped
from carbrand.node.terminal import print_note

DONE = 0
UNUSABLE_INPUT = 2
# 128 + SIGINT.
INTERRUPTED = 130
# 128 + SIGPIPE, as in shells: the reader of the pipe has ended.
NO_READER = 141
_OURS = ("carbrand", "stages")


class UserError(Exception):
    """An error that the user can fix. The message says what is wrong, where, and how to fix it.

    `problems`: one line for each problem found in one pass.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def exit_status(main: Callable[[], int | None]) -> int:
    """Run `main` and return its exit status; a UserError is printed to stderr and returns 2."""
    try:
        status = _status(main)
        print(end="", flush=True)  # a broken pipe must show here, not when the interpreter ends
        return status
    except BrokenPipeError:  # `carbrand predict … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except OSError as error:  # full disk, no permission, a folder where a file is expected
        where = error.filename or "a file"
        reason = " ".join((error.strerror or str(error)).split())  # HDF5 has several lines
        print_note(f"error: {where}: {reason}. Fix that and run it again.")
        return UNUSABLE_INPUT
    except KeyboardInterrupt:
        print_note("stopped")
        return INTERRUPTED


def _status(main: Callable[[], int | None]) -> int:
    try:
        return _call_or_stop(main) or DONE
    except UserError as error:
        for problem in error.problems:
            print_note(f"error: {problem}")
        return UNUSABLE_INPUT


def _call_or_stop(main: Callable[[], int | None]) -> int | None:
    """Call `main`, and raise KeyboardInterrupt or Stopped where they caused another exception.

    A C extension that is interrupted during its import raises ImportError instead.
    """
    try:
        return main()
    except Exception as error:
        earlier: BaseException | None = error
        while isinstance(earlier, Exception):
            earlier = earlier.__cause__ or earlier.__context__
        if isinstance(earlier, (KeyboardInterrupt, Stopped)):
            raise earlier from None
        raise


def explain_missing_packages() -> None:
    """Install a hook: a missing package ends the program with one line on stderr and status 2.

    Call it before importing third-party packages. Does nothing if carbrand is imported as a
    library.
    """
    program = (sys.argv or [""])[0]  # "-m" while Python is importing the module
    if program == "-m" or PurePath(program).stem == "carbrand":
        sys.excepthook = _explain


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    package = (getattr(error, "name", None) or "").split(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package in (*_OURS, ""):
        sys.__excepthook__(kind, error, trace)
        return
    enter = r".venv\Scripts\activate" if sys.platform == "win32" else ". .venv/bin/activate"
    print_note(
        f"error: The package {package} is not installed for {sys.executable}. `make repro` makes "
        f"an environment in .venv that has all packages; `{enter}` activates it."
    )
    raise SystemExit(UNUSABLE_INPUT)
