"""What can be wrong with a file, and what it leads to.

The order is that in which the manifest lists codes and the summary counts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from carbrand.checks.quality import CODES as QUALITY
from carbrand.photos.manifest import ERROR, EXCLUDED, KEPT, Row
from carbrand.photos.photo import ODDITIES, PROBLEMS

# Files that nobody meant as photos stay out without a question.
NEVER_PHOTOS = ("hidden", "not_a_photo")
# Nothing can be learned from these: to let them pass is no choice.
UNUSABLE = PROBLEMS
# These can be read, and people may want to know.
ODD = ("damaged", "wrong_extension", "too_small", "extreme_aspect", *ODDITIES, *QUALITY)
# A photo of a brand that only one split has, where such brands stay out.
NO_COUNTERPART = ("missing_brand",)
BETWEEN_PHOTOS = ("label_conflict", "leaked", "duplicate")
# Perhaps a copy of another photo, perhaps not.
SUSPECTED = "suspected"
CODES = (*NEVER_PHOTOS, *UNUSABLE, *ODD, *NO_COUNTERPART, *BETWEEN_PHOTOS, SUSPECTED)


def apply_severities(row: Row, severities: Mapping[str, str]) -> Row:
    """`row` with the status that its issues have under `severities` (issue code → severity).

    Issues to be ignored are dropped from the row. So is a leak where photos under two brands are
    not used: the training photo is not learned from, and what brand the test photo has, nobody
    knows.
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
    grades = {severities[code] for code in issues}
    status = ERROR if "error" in grades else EXCLUDED if "exclude" in grades else KEPT
    judged = replace(row, issues=issues, status=status)
    if SUSPECTED not in issues:
        judged = replace(judged, suspected_of="")
    # What is to be ignored is not told either; that copies belong together, folds must know.
    told = bool(set(issues) & set(BETWEEN_PHOTOS))
    return judged if told else replace(judged, duplicate_of="", match="")


def meant_as_photos(rows: Sequence[Row]) -> list[Row]:
    """Without what tools leave behind, whose folders are no brands."""
    return [row for row in rows if not set(row.issues) & set(NEVER_PHOTOS)]
