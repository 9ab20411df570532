"""looks.csv: the looks that `carbrand drift` took at a log. Each spends some of the error."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from carbrand.model.drift import Measure
from carbrand.model.observation import Observation
from carbrand.node.files.atomic import atomic_file
from carbrand.node.files.table import read_rows, write_table

NAME = "looks.csv"
COLUMNS = ("look", "newest", "photos", "drift", "fingerprint")


def record_look(
    folder: Path, photos: Sequence[Observation], measures: Sequence[Measure], looks: int
) -> int:
    """Record a look at the photos in the folder; its number, 1 to `looks`, after which it is 1.

    A look at the same photos as before is the same look.
    """
    path = folder / NAME
    rows = read_rows(path, COLUMNS) if path.exists() else []
    fingerprint = _fingerprint(photos)
    for row in rows:
        if row["fingerprint"] == fingerprint:
            return int(row["look"])
    look = int(rows[-1]["look"]) % looks + 1 if rows else 1
    drift = "true" if any(measure.drift for measure in measures) else "false"
    new = [look, max(photo.name for photo in photos), len(photos), drift, fingerprint]
    with atomic_file(path) as temporary:
        write_table(temporary, COLUMNS, [*([row[name] for name in COLUMNS] for row in rows), new])
    return look


def _fingerprint(photos: Sequence[Observation]) -> str:
    return hashlib.sha256("\n".join(photo.name for photo in photos).encode()).hexdigest()[:16]
