"""Look at every photo before any model does: what can be read, what is a copy of what.

Reads the photos of both splits; changes, moves and deletes none of them.
Writes `manifest.csv` (one row per file) and `summary.json` (counts).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from carbrand.dataset import check_counts, check_layout, find_files
from carbrand.errors import UserError
from carbrand.inspection import CODES, NEVER_PHOTOS, SEVERITIES, find_copies, inspect_file, judge
from carbrand.manifest import ERROR, EXCLUDED, KEPT, Row, write_manifest
from carbrand.metrics_file import write_metrics
from carbrand.params import knob, read_section
from carbrand.progress import track
from carbrand.stage import start


@dataclass(frozen=True)
class ValidateParams:
    """How severe each finding is; see params.yaml."""

    unreadable: str = knob(choices=("error", "exclude"))
    label_conflict: str = knob(choices=SEVERITIES)
    leaked: str = knob(choices=("error", "exclude", "warn"))
    duplicate: str = knob(choices=SEVERITIES)


def validate(
    folders: Mapping[str, Path], params: ValidateParams
) -> tuple[list[Row], dict[str, str]]:
    """The manifest of the folders of both splits, and the reason of every file's trouble by path.

    Raises UserError when the folders are none a classifier can be made of.
    """
    problems = check_layout(folders)
    if problems:
        raise UserError(*problems)
    files = [file for split, folder in folders.items() for file in find_files(folder, split)]
    # Pillow and hashlib release the lock. No more threads than cores: each holds a whole photo.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        inspected = list(track(pool.map(inspect_file, files), "Looking at photos", len(files)))
    severities = asdict(params) | dict.fromkeys(NEVER_PHOTOS, "exclude")
    rows = [judge(row, severities) for row in find_copies([row for row, _ in inspected])]
    return rows, {row.path: reason for row, reason in inspected if reason}


def summarize(rows: Sequence[Row]) -> dict[str, object]:
    """Counts of the manifest; every issue code is there, so that `dvc metrics diff` has a pair."""
    photos = meant_as_photos(rows)
    statuses = Counter(row.status for row in photos)
    issues = Counter(code for row in rows for code in row.issues)
    return {
        "images": len(photos),
        "kept": statuses[KEPT],
        "excluded": statuses[EXCLUDED],
        "errors": statuses[ERROR],
        "leaked": issues["leaked"],
        "issues": {code: issues[code] for code in CODES},
        **{split: _kept_by_brand(photos, split) for split in ("train", "test")},
    }


def meant_as_photos(rows: Sequence[Row]) -> list[Row]:
    """Without what tools leave behind, whose folders are no brands."""
    return [row for row in rows if not set(row.issues) & set(NEVER_PHOTOS)]


def _kept_by_brand(photos: Sequence[Row], split: str) -> dict[str, int]:
    brands = sorted({row.brand for row in photos if row.split == split})
    kept = Counter(row.brand for row in photos if row.split == split and row.status == KEPT)
    return {brand: kept[brand] for brand in brands}


def find_errors(
    rows: Sequence[Row], reasons: Mapping[str, str], folders: Mapping[str, Path]
) -> list[str]:
    """A line for everything that must stop the pipeline."""
    lines = [_describe(row, reasons) for row in rows if row.status == ERROR]
    # What was left out may have left a brand without photos. A test folder of leaked photos only
    # is no error here: it still counts as given.
    usable = [row for row in rows if row.status == KEPT or row.leaked]
    for split, folder in folders.items():
        brands = sorted({row.brand for row in meant_as_photos(rows) if row.split == split})
        counts = Counter(row.brand for row in usable if row.split == split)
        lines += check_counts(folder, split, {brand: counts[brand] for brand in brands})
    return lines


def _describe(row: Row, reasons: Mapping[str, str]) -> str:
    if "unreadable" in row.issues:
        return (
            f"{row.path} is not a readable photo ({reasons[row.path]}). Replace or remove it, or "
            f"set validate.unreadable: exclude"
        )
    if "label_conflict" in row.issues:
        return (
            f"{row.path} holds the same photo as {row.duplicate_of}, under another brand. "
            f"Remove the wrong one, or set validate.label_conflict: exclude"
        )
    code = row.issues[0]
    return (
        f"{row.path} is a copy of {row.duplicate_of} ({code}). "
        f"Remove it, or set validate.{code}: exclude"
    )


def main(params: Path, train: Path, test: Path, out: Path) -> None:
    """Read the photos, write manifest and summary, then stop the pipeline if it must stop."""
    folders = {"train": train, "test": test}
    rows, reasons = validate(folders, read_section(params, "validate", ValidateParams))
    out.mkdir(parents=True, exist_ok=True)
    # Also when the pipeline stops here: by hand, the node leaves a manifest to look things up in.
    write_manifest(out / "manifest.csv", rows)
    write_metrics(out / "summary.json", summarize(rows))
    errors = find_errors(rows, reasons, folders)
    if errors:
        raise UserError(*errors)


if __name__ == "__main__":
    start(main)
