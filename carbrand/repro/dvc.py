"""`python -m carbrand.repro.dvc …`: `dvc …`, as a process that ends with the one that started it.

So do the nodes that it runs: see `carbrand.processes`. What made their outputs is written down.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from carbrand.processes import DVC_PID, parents_up_to
from carbrand.repro.made_by import read_outputs, record, started_nodes

# The process that this one ends with.
PARENT_PID = "CARBRAND_REPRO_PID"


def main() -> int:
    """DVC's exit status."""
    parents = parents_up_to(int(os.environ.pop(PARENT_PID)))
    if not parents.alive():
        return 128 + signal.SIGTERM
    parents.end_with_them()
    os.environ[DVC_PID] = str(os.getpid())
    from dvc.cli import main as dvc

    before = read_outputs(Path())
    started = started_nodes()
    status = int(dvc(sys.argv[1:]))
    if status:  # of a node that failed, dvc.lock says what it said before
        after = read_outputs(Path())
        started = [name for name in started if after.get(name) != before.get(name)]
    record(Path(), started)
    return status


if __name__ == "__main__":
    sys.exit(main())
