"""folders.csv: findings on folders (rather than single photos), and their severities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.files.table import read_rows, write_table

# Finding code → allowed severities, in the order of the file.
FOLDER_SEVERITIES = {
    "no_brand": ("error", "warn", "ignore"),
    "missing_brand": ("error", "exclude"),
    "similar_names": ("error", "warn", "ignore"),
    "unportable_name": ("error", "warn", "ignore"),
    "few_photos": ("error", "warn", "ignore"),
    "imbalance": ("error", "warn", "ignore"),
    "drift": ("error", "warn", "ignore"),
}
FOLDER_CODES = tuple(FOLDER_SEVERITIES)
# How many names a message lists.
SHOWN = 3


@dataclass(frozen=True)
class FolderFinding:
    """A problem of `folder`. code: one of FOLDER_CODES; message: the problem and how to fix it.

    brand: of `missing_brand`, which one. alike: the same brand spelt in another way in the split
    that lacks it, if there is one.
    """

    code: str
    folder: str
    message: str
    brand: str = ""
    alike: str = ""


@dataclass(frozen=True)
class RatedFinding:
    """A finding with its severity: `error`, `exclude` or `warn`."""

    code: str
    severity: str
    folder: str
    message: str
    brand: str = ""


def rate_findings(
    findings: Sequence[FolderFinding], severities: Mapping[str, str]
) -> list[RatedFinding]:
    """`findings` with their severities, in the order of FOLDER_CODES, ignored ones dropped.

    A missing brand that is there in another spelling is dropped if the spelling is an error.
    """
    return [
        RatedFinding(
            finding.code,
            severities[finding.code],
            finding.folder,
            finding.message,
            finding.brand,
        )
        for finding in sorted(findings, key=lambda finding: FOLDER_CODES.index(finding.code))
        if severities[finding.code] != "ignore"
        and not (finding.alike and severities["similar_names"] == "error")
    ]


def error_lines(findings: Sequence[RatedFinding]) -> list[str]:
    """One line for each finding of severity `error`, with the setting that allows it."""
    return [
        f"{finding.message[:-1]}, or set validate.{finding.code}: "
        f"{'exclude' if 'exclude' in FOLDER_SEVERITIES[finding.code] else 'warn'}."
        for finding in findings
        if finding.severity == "error"
    ]


def excluded_brands(findings: Sequence[RatedFinding]) -> set[str]:
    """The brands that are excluded because a split lacks them."""
    return {finding.brand for finding in findings if finding.severity == "exclude"}


_COLUMNS = ("code", "severity", "folder", "message")


def write_findings(path: Path, findings: Sequence[RatedFinding]) -> None:
    """Write `findings` in the given order."""
    rows = [(item.code, item.severity, item.folder, item.message) for item in findings]
    write_table(path, _COLUMNS, rows)


def read_findings(path: Path) -> list[RatedFinding]:
    """Read the file that `write_findings` wrote; `brand` is not in it."""
    return [
        RatedFinding(**{name: row[name] for name in _COLUMNS}) for row in read_rows(path, _COLUMNS)
    ]
