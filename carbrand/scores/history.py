"""history.csv: how loss and accuracy went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from carbrand.node.metrics_file import DECIMALS
from carbrand.node.table import read_table, write_table


@dataclass(frozen=True)
class Epoch:
    """Means over photos as they are: those that a fold's head has seen, and those held out."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


COLUMNS = tuple(field.name for field in fields(Epoch))


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """One row per epoch; numbers rounded like every metric."""
    rows = [[round(value, DECIMALS) for value in astuple(epoch)] for epoch in history]
    write_table(path, COLUMNS, rows)


def read_history(path: Path) -> list[Epoch]:
    """What `write_history` wrote. Raises KeyError or ValueError when it is something else."""
    return [
        Epoch(int(record["epoch"]), *(float(record[name]) for name in COLUMNS[1:]))
        for record in read_table(path)[1]
    ]
