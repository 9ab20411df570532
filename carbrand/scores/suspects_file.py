"""suspects.csv: training photos whose brand looks wrong, the most suspicious first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.table import finite, parse_bool, read_rows, write_table

DECIMALS = 6
COLUMNS = ("path", "brand", "suggested", "confidence", "suspicion", "issue")


@dataclass(frozen=True)
class Suspect:
    """A training photo, and the likeliest of the brands that it does not lie under.

    confidence: the probability of `suggested`. suspicion: 1 minus cleanlab's label quality score,
    the higher the more suspicious. issue: whether cleanlab estimates it to be among the wrong ones.
    """

    path: str
    brand: str
    suggested: str
    confidence: float
    suspicion: float
    issue: bool


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """Write `suspects` in their order."""
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
    """What `write_suspects` wrote."""
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
