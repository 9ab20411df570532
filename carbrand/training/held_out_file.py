"""What `train` leaves for `finetune`: the folds, and what the frozen backbone's heads predict.

The tuned network is then compared on the same photos, which neither has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.node.files.table import read_table, write_table

FOLDS, LOGITS = "folds.csv", "held_out.npy"


@dataclass(frozen=True)
class HeldOut:
    """Training photos, and the predictions of the heads that have not seen them.

    paths, brands and groups: of each photo; photos of one series share a group. folds (n,) int:
    the fold that holds the photo out. logits (n, brands) float32: calibrated.
    """

    paths: Sequence[str]
    brands: Sequence[str]
    groups: Sequence[str]
    folds: np.ndarray
    logits: np.ndarray


def write_held_out(folder: Path, held_out: HeldOut) -> None:
    """Write folds.csv and held_out.npy."""
    columns = (held_out.paths, held_out.brands, held_out.groups, held_out.folds)
    rows = [list(row) for row in zip(*columns, strict=True)]
    write_table(folder / FOLDS, ("path", "brand", "group", "fold"), rows)
    np.save(folder / LOGITS, held_out.logits.astype(np.float32))


def read_held_out(folder: Path) -> HeldOut:
    """Read the files of `write_held_out`."""
    rows = read_table(folder / FOLDS)[1]
    return HeldOut(
        paths=[row["path"] for row in rows],
        brands=[row["brand"] for row in rows],
        groups=[row["group"] for row in rows],
        folds=np.array([int(row["fold"]) for row in rows]),
        logits=np.load(folder / LOGITS, allow_pickle=False),
    )
