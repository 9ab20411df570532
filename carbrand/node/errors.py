"""The one way to tell a user what is wrong: what, where, and how to mend it."""

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
# 128 + SIGPIPE, as shells have it: nobody reads what is printed any more.
NO_READER = 141
_OURS = ("carbrand", "stages")


class UserError(Exception):
    """Something a user can mend. The message is what they read: what, where, how to mend it.

    Several problems found in one pass go into one error, a line each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def exit_status(main: Callable[[], int | None]) -> int:
    """Run `main`; a UserError becomes its lines on stderr and status 2, never a traceback."""
    try:
        status = _status(main)
        print(end="", flush=True)  # or else what fails of it does so when the interpreter ends
        return status
    except BrokenPipeError:  # `carbrand predict … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except OSError as error:  # a full disk, a missing right, a folder where a file should be
        where = error.filename or "a file"
        reason = " ".join((error.strerror or str(error)).split())  # HDF5 writes several lines
        print_note(f"error: {where}: {reason}. Mend that and run it again.")
        return UNUSABLE_INPUT
    except KeyboardInterrupt:
        print_note("stopped")
        return 130


def _status(main: Callable[[], int | None]) -> int:
    try:
        return _call_or_stop(main) or DONE
    except UserError as error:
        for problem in error.problems:
            print_note(f"error: {problem}")
        return UNUSABLE_INPUT


def _call_or_stop(main: Callable[[], int | None]) -> int | None:
    """`main()`; being told to stop comes out as just that.

    A library in C that is told so while it is imported makes an ImportError of it.
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
    """From now on, a package that is missing ends a program of ours with a line and status 2.

    Called before any module is imported that needs one. Whoever imports ours as a library gets
    what Python raises.
    """
    program = (sys.argv or [""])[0]  # while Python looks for the module, it is "-m"
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
        f"an environment in .venv that has all packages; `{enter}` enters it."
    )
    raise SystemExit(UNUSABLE_INPUT)
