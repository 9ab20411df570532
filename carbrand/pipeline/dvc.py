"""`python -m carbrand.pipeline.dvc …`: `dvc …`, which ends with the process that started it.

So do the nodes that it runs: see carbrand/node/processes.py. What made their outputs is recorded.
DVC's hints about remotes and Git, which come with every run, are left out.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from carbrand.node.files.dvc_lock import DvcLock
from carbrand.node.processes import DVC_PID, parents_up_to
from carbrand.node.start import STARTED_NODES
from carbrand.pipeline.dvc_files import DVC_LOCK
from carbrand.pipeline.made_by import record

# The process that this one ends with.
PARENT_PID = "CARBRAND_REPRO_PID"
_STARTED = Path(".dvc/tmp/started")
_PUSH_HINT = "Use `dvc push`"


def leave_out_hints() -> None:
    """Have DVC print neither how to add dvc.lock to Git nor that there is `dvc push`."""
    from dvc.ui import ui

    logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)
    write = ui.write

    def write_all_but_hints(*objects: object, **options: object) -> None:
        if not str(objects[0] if objects else "").startswith(_PUSH_HINT):
            write(*objects, **options)

    ui.write = write_all_but_hints


def main() -> int:
    """Run DVC, and record what made the outputs of nodes that got through: DVC's exit status."""
    parents = parents_up_to(int(os.environ.pop(PARENT_PID)))
    if not parents.alive():
        return 128 + signal.SIGTERM
    parents.exit_with_parents()
    os.environ[DVC_PID] = str(os.getpid())
    from dvc.cli import main as dvc

    leave_out_hints()
    before = DvcLock.read(Path(DVC_LOCK)).outputs()
    _STARTED.unlink(missing_ok=True)  # of one that was killed
    os.environ[STARTED_NODES] = str(_STARTED.resolve())
    status = int(dvc(sys.argv[1:]))
    started = _STARTED.read_text("utf-8").splitlines() if _STARTED.exists() else []
    _STARTED.unlink(missing_ok=True)
    if status:  # the entry of a node that failed is as before
        after = DvcLock.read(Path(DVC_LOCK)).outputs()
        started = [name for name in started if after.get(name) != before.get(name)]
    record(Path(), started)
    return status


if __name__ == "__main__":
    sys.exit(main())
