"""history.csv: loss and accuracy of each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from carbrand.node.metrics_file import DECIMALS
from carbrand.node.table import read_rows, write_table


@dataclass(frozen=True)
class Epoch:
    """Means over unchanged photos: training photos and held-out photos (`val_`) of the folds."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


COLUMNS = tuple(field.name for field in fields(Epoch))


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write one row per epoch, rounded like every metric."""
    rows = [[round(value, DECIMALS) for value in astuple(epoch)] for epoch in history]
    write_table(path, COLUMNS, rows)


def read_history(path: Path) -> list[Epoch]:
    """Read the file of `write_history`. Raises KeyError or ValueError if it is another file."""
    return [
        Epoch(int(record["epoch"]), *(float(record[name]) for name in COLUMNS[1:]))
        for record in read_rows(path, COLUMNS)
    ]
