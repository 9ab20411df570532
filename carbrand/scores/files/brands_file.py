"""brands.csv: the scores of each brand, as a table that `dvc plots` can draw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from carbrand.node.files.metrics_file import DECIMALS
from carbrand.node.files.table import write_table


def write_brands(path: Path, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Write the scores by brand, rounded as in metrics.json."""
    rows = [
        [brand, *(round(value, DECIMALS) for value in values.values())]
        for brand, values in scores.items()
    ]
    write_table(path, ["brand", "precision", "recall", "f1", "support"], rows)
