"""Issue codes of files, and the status that follows from their severities.

CODES is the order of the manifest and the summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from carbrand.checks.quality import CODES as QUALITY
from carbrand.photos.manifest import ERROR, EXCLUDED, KEPT, Row
from carbrand.photos.photo import ODDITIES, PROBLEMS

# Files other than photos, always excluded.
NEVER_PHOTOS = ("hidden", "not_a_photo")
# Photos that corrections.csv excludes.
LEFT_OUT = "left_out"
# Unreadable photos; they cannot be kept.
UNUSABLE = PROBLEMS
# Readable photos with something unusual.
ODD = ("damaged", "wrong_extension", "too_small", "extreme_aspect", *ODDITIES, *QUALITY)
# Photos of a brand that a split lacks, if such brands are excluded.
NO_COUNTERPART = ("missing_brand",)
BETWEEN_PHOTOS = ("label_conflict", "leaked", "duplicate")
# Possibly a copy of another photo.
SUSPECTED = "suspected"
CODES = (*NEVER_PHOTOS, LEFT_OUT, *UNUSABLE, *ODD, *NO_COUNTERPART, *BETWEEN_PHOTOS, SUSPECTED)


def apply_severities(row: Row, severities: Mapping[str, str]) -> Row:
    """Set the status of `row` from its issues. severities: issue code → severity.

    Ignored issues are dropped. So is `leaked` if the photo also has a label conflict that is not
    allowed: then its brand is unknown, and the training photo is not used.
    """
    unknown_brand = "label_conflict" in row.issues and severities["label_conflict"] in (
        "error",
        "exclude",
    )
    issues = tuple(
        code
        for code in sorted(row.issues, key=CODES.index)
        if severities[code] != "ignore" and not (code == "leaked" and unknown_brand)
    )
    found = {severities[code] for code in issues}
    status = ERROR if "error" in found else EXCLUDED if "exclude" in found else KEPT
    row = replace(row, issues=issues, status=status)
    if SUSPECTED not in issues:
        row = replace(row, suspected_of="")
    # `cluster` stays also where copies are ignored: copies must share a fold.
    if not set(issues) & set(BETWEEN_PHOTOS):
        row = replace(row, duplicate_of="", match="")
    return row


def meant_as_photos(rows: Sequence[Row]) -> list[Row]:
    """The rows without hidden files and files other than photos."""
    return [row for row in rows if not set(row.issues) & set(NEVER_PHOTOS)]
