"""A run of the pipeline: `dvc repro` in which a mistake costs nothing.

First everything is checked that can be known to be wrong without opening a photo. Then what a
killed run left is healed, and DVC runs the nodes that are stale. When one fails, or is told to
stop, the outputs that DVC deleted are restored. Two runs at once take turns.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from carbrand.node.errors import DONE, UNUSABLE_INPUT, UserError
from carbrand.node.processes import signals_ignored
from carbrand.node.terminal import print_any_name, restart_in_utf8
from carbrand.pipeline.dvc import PARENT_PID
from carbrand.pipeline.dvc_files import DVC_LOCK, read_nodes, read_outputs
from carbrand.pipeline.dvc_settings import check_cache_links, environment, set_no_scm
from carbrand.pipeline.git import stay_in_own_repository
from carbrand.pipeline.healing import heal_line_ends, heal_lock
from carbrand.pipeline.locks import TEMPORARY, alone, wait_for_dvc
from carbrand.pipeline.rollback import roll_back, take_snapshot
from carbrand.pipeline.subprocesses import end_tree, run_to_its_end, stoppable_exit_status

DVC = (sys.executable, "-m", "dvc")
# The same, but it ends with this process.
OWN_DVC = (sys.executable, "-m", "carbrand.pipeline.dvc")
# Called with the nodes of dvc.yaml (None where it cannot be read) and the arguments of `dvc repro`.
# Raises UserError for what would stop a node.
Check = Callable[[Collection[str] | None, Sequence[str]], None]
# Called with the nodes and the arguments after a run in which every node got through.
Report = Callable[[Collection[str], Sequence[str]], None]


def start(module: str, check: Check, report: Report) -> int:
    """Be the program `python -m module …`, with the arguments of `dvc repro`: its exit status."""
    restart_in_utf8(module, sys.argv[1:])
    print_any_name()
    return stoppable_exit_status(lambda: _check_and_run(sys.argv[1:], check, report))


def _check_and_run(arguments: Sequence[str], check: Check, report: Report) -> int:
    stay_in_own_repository(Path())
    if {"-h", "--help"} & set(arguments):
        return run_dvc([*DVC, "repro", *arguments])
    nodes: Collection[str] | None = None
    with contextlib.suppress(UserError):  # `repro` raises it, after all that `check` finds
        nodes = read_nodes()
    check(nodes, arguments)
    check_cache_links(Path())
    with alone(TEMPORARY):
        wait_for_dvc(TEMPORARY)
        heal_lock(Path(DVC_LOCK))
        heal_line_ends(Path())
        set_no_scm()
        status = repro(arguments)
        if status == DONE:
            report(nodes or (), arguments)
        return status


def repro(arguments: Sequence[str]) -> int:
    """`dvc repro`; where it fails, outputs of nodes that did not get through are restored."""
    with take_snapshot(read_outputs()) as snapshot:
        status = 1
        try:
            status = run_dvc([*OWN_DVC, "repro", *arguments])
        finally:
            if status != 0:
                with signals_ignored():
                    roll_back(snapshot)
    return UNUSABLE_INPUT if status else DONE


def run_dvc(command: Sequence[str]) -> int:
    """The exit status of DVC, which is awaited to its end also after Ctrl-C."""
    own = {PARENT_PID: str(os.getpid())}
    return run_to_its_end(command, Path(), environment(Path()) | own, end_tree).status
