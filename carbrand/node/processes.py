"""Signals, and whether other processes are alive: parents, and owners of temporary files."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from types import CodeType

# Environment variable: the process id of the DVC that starts nodes; see carbrand/pipeline/dvc.py.
DVC_PID = "CARBRAND_DVC_PID"
# Set by DVC for each command that it runs.
_STARTED_BY_DVC = "DVC_STAGE"
_POLL_S = 0.2
# Time to clean up after SIGTERM before the process is killed.
_GRACE_S = 1.0
# Accuracy of process start times.
_CLOCK_S = 2.0
# Delay before an exception that could not be caught is raised again.
_AGAIN_S = 0.01
# Signals that end a process, besides SIGINT.
_TO_END = (signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else []))


@dataclass(frozen=True)
class Parents:
    """The process ids of this process's ancestors, from its parent upwards.

    Empty: no particular ones (a node started by hand). None: they have ended already.
    """

    pids: tuple[int, ...] | None

    def alive(self) -> bool:
        """Whether all of them are running. (An orphan gets another parent.)"""
        import psutil

        if self.pids is None:
            return False
        child = os.getpid()
        for pid in self.pids:
            try:
                parent = os.getppid() if child == os.getpid() else psutil.Process(child).ppid()
                if parent != pid or not psutil.pid_exists(pid):  # Windows keeps the old number
                    return False
            except psutil.NoSuchProcess:
                return False
            child = pid
        return True

    def exit_with_parents(self) -> None:
        """Watch them in a thread: when one ends, send SIGTERM to this process, then kill it.

        Call it in the main thread.
        """
        if self.pids != ():
            main = threading.get_ident()
            threading.Thread(target=self._watch, args=(main,), daemon=True).start()

    def _watch(self, main: int) -> None:
        while self.alive():
            time.sleep(_POLL_S)
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(main, signal.SIGTERM)
            time.sleep(_GRACE_S)
        os._exit(128 + signal.SIGTERM)


def parents_up_to(pid: int) -> Parents:
    """The ancestors of this process up to the one with that id."""
    found: list[int] = []
    for parent in _ancestors():
        found.append(parent)
        if parent == pid:
            return Parents(tuple(found))
    return Parents(None)


def parents_up_to_dvc() -> Parents:
    """The ancestors of a node up to the DVC that started it, shells in between included."""
    if _STARTED_BY_DVC not in os.environ:
        return Parents(())
    if DVC_PID in os.environ:
        return parents_up_to(int(os.environ[DVC_PID]))
    import psutil

    found: list[int] = []
    for parent in _ancestors():
        found.append(parent)
        try:
            words = psutil.Process(parent).cmdline()
        except psutil.Error:
            continue
        # `dvc`, `python -m dvc`, or a program that uses DVC as a library
        names = [PurePath(word).stem for word in words]
        if "dvc" in names or (names and names[0].startswith("python")):
            return Parents(tuple(found))
    return Parents(None)


def _ancestors() -> list[int]:
    import psutil

    return [process.pid for process in psutil.Process().parents()]


def is_alive(pid: int, since: float) -> bool:
    """Whether the process that had this id at time `since` still runs. (Ids are reused.)"""
    import psutil

    try:
        process = psutil.Process(pid)
        started, status = process.create_time(), process.status()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # it runs, under another user
        return True
    return started <= since + _CLOCK_S and status != psutil.STATUS_ZOMBIE


class Stopped(BaseException):
    """SIGTERM or SIGHUP was received. Code that catches it must re-raise it after cleaning up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)
        self.exit_status = 128 + number


def raise_on_signals() -> None:
    """Raise Stopped in the main thread at the first SIGTERM or SIGHUP; ignore later ones.

    Python drops exceptions in finalizers and weak reference callbacks, which every import runs:
    Stopped and KeyboardInterrupt are raised again then.
    """
    # `nohup` makes SIGHUP ignored; that must stay.
    numbers = [number for number in _TO_END if signal.getsignal(number) != signal.SIG_IGN]

    def stop(number: int, _frame: object) -> None:
        for other in (*numbers, signal.SIGINT):
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    def raise_again(dropped: sys.UnraisableHookArgs) -> None:
        lost = dropped.exc_value
        if not isinstance(lost, (Stopped, KeyboardInterrupt)):
            sys.__unraisablehook__(dropped)
            return
        if isinstance(lost, Stopped):
            signal.signal(lost.number, stop)
        again = lost.number if isinstance(lost, Stopped) else signal.SIGINT
        threading.Thread(target=_signal_after, args=(raise_again.__code__, again)).start()

    for number in numbers:
        signal.signal(number, stop)
    sys.unraisablehook = raise_again


def _signal_after(code: CodeType, number: signal.Signals) -> None:
    """Signal the main thread once it has left `code`, the hook, which drops exceptions itself."""
    time.sleep(_AGAIN_S)
    while _runs_in_main_thread(code):
        time.sleep(_AGAIN_S)
    _signal_main_thread(number)


def _runs_in_main_thread(code: CodeType) -> bool:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def _signal_main_thread(number: signal.Signals) -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:  # Windows: does not wake a waiting thread
        _thread.interrupt_main(number)


def restore_signals() -> None:
    """Undo `raise_on_signals` after the clean-up: from now on, signals end this process."""
    for number in _TO_END:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    sys.unraisablehook = sys.__unraisablehook__


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore SIGINT, SIGTERM and SIGHUP inside the block. Call it in the main thread."""
    numbers = (*_TO_END, signal.SIGINT)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
