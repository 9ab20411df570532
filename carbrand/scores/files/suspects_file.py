"""suspects.csv: suspected label errors among the photos of a split, the most suspicious first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.files.table import finite, parse_bool, read_rows, write_table

DECIMALS = 6
COLUMNS = ("path", "brand", "suggested", "confidence", "suspicion", "issue")
ACCURACY = "accuracy_if"


@dataclass(frozen=True)
class Suspect:
    """A photo, its label (`brand`), and the most probable other brand (`suggested`).

    confidence: the probability of `suggested`. suspicion: 1 minus cleanlab's label quality score.
    issue: whether cleanlab estimates the label to be wrong. accuracy_if: of a test photo, the
    accuracy if `suggested` were its label.
    """

    path: str
    brand: str
    suggested: str
    confidence: float
    suspicion: float
    issue: bool
    accuracy_if: float | None = None


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """Write the suspects in their order; those of test photos with a column `accuracy_if`."""
    rows = [
        [
            *(suspect.path, suspect.brand, suspect.suggested),
            *(f"{suspect.confidence:.{DECIMALS}f}", f"{suspect.suspicion:.{DECIMALS}f}"),
            str(suspect.issue).lower(),
            *([f"{suspect.accuracy_if:.{DECIMALS}f}"] if suspect.accuracy_if is not None else []),
        ]
        for suspect in suspects
    ]
    of_test = any(suspect.accuracy_if is not None for suspect in suspects)
    write_table(path, (*COLUMNS, ACCURACY) if of_test else COLUMNS, rows)


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
            finite(row[ACCURACY]) if ACCURACY in row else None,
        )
        for row in read_rows(path, COLUMNS)
    ]
