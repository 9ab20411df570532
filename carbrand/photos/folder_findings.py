"""folders.csv: what is odd about folders of photos, and what it leads to.

A finding is about a folder, never about one photo. Its severity, which the caller brings, decides
what it leads to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.table import read_rows, write_table

# In the order in which findings are listed; of each code, the severities that make sense.
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
# How many names a line bears.
SHOWN = 3


@dataclass(frozen=True)
class FolderFinding:
    """What is odd about `folder`, in words that say how to mend it. `code` is of FOLDER_CODES.

    A missing brand is named by `brand`; `alike` then holds the name in the other split that
    differs by no more than a spelling, if there is one.
    """

    code: str
    folder: str
    message: str
    brand: str = ""
    alike: str = ""


@dataclass(frozen=True)
class RatedFinding:
    """A finding and what it leads to: `error`, `exclude` or `warn`."""

    code: str
    severity: str
    folder: str
    message: str
    brand: str = ""


def rate_findings(
    findings: Sequence[FolderFinding], severities: Mapping[str, str]
) -> list[RatedFinding]:
    """`findings` in the order of FOLDER_CODES, without those to be ignored.

    A brand that is missing only for a spelling is not told twice where the spelling is an error.
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
    """A line for every finding that must stop the pipeline, with the way to let it pass."""
    return [
        f"{finding.message[:-1]}, or set validate.{finding.code}: "
        f"{'exclude' if 'exclude' in FOLDER_SEVERITIES[finding.code] else 'warn'}."
        for finding in findings
        if finding.severity == "error"
    ]


def excluded_brands(findings: Sequence[RatedFinding]) -> set[str]:
    """The brands whose photos stay out because a split has none of them."""
    return {finding.brand for finding in findings if finding.severity == "exclude"}


_COLUMNS = ("code", "severity", "folder", "message")


def write_findings(path: Path, findings: Sequence[RatedFinding]) -> None:
    """Write `findings` in their order."""
    rows = [(item.code, item.severity, item.folder, item.message) for item in findings]
    write_table(path, _COLUMNS, rows)


def read_findings(path: Path) -> list[RatedFinding]:
    """What `write_findings` wrote; which brand a finding is about is in its message only."""
    return [
        RatedFinding(**{name: row[name] for name in _COLUMNS}) for row in read_rows(path, _COLUMNS)
    ]
