"""`python -m carbrand.repro.dvc …`: `dvc …`, as a process that ends with the one that started it.

So do the nodes that it runs: see `carbrand.processes`.
"""

from __future__ import annotations

import os
import signal
import sys

from carbrand.processes import DVC_PID, parents_up_to

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

    return int(dvc(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
