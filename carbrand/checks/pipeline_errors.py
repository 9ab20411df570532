"""Errors that stop the pipeline: photos, folders, and brands with too few photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from carbrand.checks.issues import SUSPECTED, UNUSABLE, meant_as_photos
from carbrand.checks.layout import check_counts
from carbrand.node.wording import one_line
from carbrand.photos.folders.folder_findings import RatedFinding, error_lines
from carbrand.photos.manifest import ERROR, EXCLUDED, Row


def find_errors(
    rows: Sequence[Row],
    findings: Sequence[RatedFinding],
    severities: Mapping[str, str],
    folders: Mapping[str, Path],
) -> list[str]:
    """One line for each error that stops the pipeline."""
    lines = error_lines(findings)
    lines += _describe_once(rows, severities)
    # What was left out may have left a brand without photos. A test folder of leaked photos only
    # is no error here: it still counts as given.
    photos = [row for row in meant_as_photos(rows) if "missing_brand" not in row.issues]
    for split, folder in folders.items():
        brands = sorted({row.brand for row in photos if row.split == split})
        counts = Counter(
            row.brand
            for row in photos
            if row.split == split and (row.status != EXCLUDED or row.leaked)
        )
        lines += check_counts(folder, split, {brand: counts[brand] for brand in brands})
    return lines


def _describe_once(rows: Sequence[Row], severities: Mapping[str, str]) -> list[str]:
    """One line for each photo with an error; one for both photos of a label conflict."""
    lines, pairs = [], set()
    for row in rows:
        if row.status != ERROR:
            continue
        pair = frozenset((row.path, row.duplicate_of))
        if _worst(row, severities) != "label_conflict" or pair not in pairs:
            lines.append(_describe(row, severities))
        pairs.add(pair)
    return lines


def _worst(row: Row, severities: Mapping[str, str]) -> str:
    return next(code for code in row.issues if severities[code] == "error")


def _describe(row: Row, severities: Mapping[str, str]) -> str:
    code = _worst(row, severities)
    path, original = one_line(row.path), one_line(row.duplicate_of)
    if code in UNUSABLE:
        return (
            f"{path} is not a readable photo ({row.reason}). Replace or remove it, or set "
            f"validate.{code}: exclude"
        )
    if code == "label_conflict":
        return (
            f"{path} holds the same photo as {original}, under another brand. "
            f"Remove the wrong one, or set validate.label_conflict: exclude"
        )
    if code == SUSPECTED:
        what = f"may be a copy of {one_line(row.suspected_of)} (suspected): look at both"
    elif row.duplicate_of:
        what = f"is a copy of {original} ({code})"
    else:
        what = f"has the issue {code}{f' ({row.reason})' if row.reason else ''}"
    return f"{path} {what}. Remove it, or set validate.{code}: exclude"
