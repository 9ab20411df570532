"""suspects.csv: suspected label errors among the training photos, the most suspicious first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.table import finite, parse_bool, read_rows, write_table

DECIMALS = 6
COLUMNS = ("path", "brand", "suggested", "confidence", "suspicion", "issue")


@dataclass(frozen=True)
class Suspect:
    """A training photo, its label (`brand`), and the most probable other brand (`suggested`).

    confidence: the probability of `suggested`. suspicion: 1 minus cleanlab's label quality score.
    issue: whether cleanlab estimates the label to be wrong.
    """

    path: str
    brand: str
    suggested: str
    confidence: float
    suspicion: float
    issue: bool


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """Write the suspects in their order."""
    rows = [
        [
            *(suspect.path, suspect.brand, suspect.suggested),
            *(f"{suspect.confidence:.{DECIMALS}f}", f"{suspect.suspicion:.{DECIMALS}f}"),
            str(suspect.issue).lower(),
        ]
        for suspect in suspects
    ]
    write_table(path, COLUMNS, rows)


def read_suspects(path: Path) -> list[Suspect]:
    """Read the file of `write_suspects`."""
    return [
        Suspect(
            row["path"],
            row["brand"],
            row["suggested"],
            finite(row["confidence"]),
            finite(row["suspicion"]),
            parse_bool(row["issue"]),
        )
        for row in read_rows(path, COLUMNS)
    ]
