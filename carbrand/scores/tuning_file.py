"""finetune's summary.json: whether the tuned network ships, or the frozen one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from carbrand.node.metrics_file import read_metrics


def read_tuning(path: Path) -> dict[str, Any]:
    """Read the file. Raises KeyError or ValueError if it is another one."""
    tuning = read_metrics(path)
    for name in ("photos", "epochs", "ships_tuned"):
        if name not in tuning:
            raise KeyError(name)
    return tuning
