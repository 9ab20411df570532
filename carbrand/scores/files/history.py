"""history.csv: loss and accuracy of each epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from carbrand.node.files.metrics_file import DECIMALS
from carbrand.node.files.table import read_rows, write_table
from carbrand.node.wording import NO_BREAK, percent


@dataclass(frozen=True)
class Epoch:
    """Means over training photos and held-out photos (`val_`) of the folds.

    In `train` the photos are unchanged; in `finetune` the training photos are augmented, and seen
    while the weights still change.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


def describe_epoch(epoch: Epoch) -> str:
    """`loss 0.312, held out 0.401 (90.6 % right)`, or the loss alone if nothing was held out."""
    if math.isnan(epoch.val_loss):
        return f"loss {epoch.loss:.3f}"
    right = percent(epoch.val_accuracy).replace(NO_BREAK, " ")
    return f"loss {epoch.loss:.3f}, held out {epoch.val_loss:.3f} ({right} right)"


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
