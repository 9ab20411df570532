"""Leaks: test photos that are copies of training photos."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from carbrand.photos.copies_file import Copy
from carbrand.photos.manifest import Row, kept_training_photos
from carbrand.photos.severities import CopySeverities, excluded_paths, raise_for_errors


def classify_copies(
    manifest: Sequence[Row], found: Iterable[Copy], unlearned: Collection[str]
) -> list[Copy]:
    """Set the issue of each copy of a test photo; keep the best match per photo and issue.

    `label_conflict` if the brands differ; else `leaked` if the original is a training photo or is
    leaked itself, else `duplicate`. found: pairs by vectors. unlearned: paths of training photos
    that the model was not trained on.
    """
    rows = {row.path: row for row in manifest}
    learned = [row for row in kept_training_photos(manifest) if row.path not in unlearned]
    seen = {row.hash_group for row in learned} | {row.hash_group for row in manifest if row.leaked}
    copies = [copy for copy in found if copy.copy_of not in unlearned]
    classified: list[Copy] = []

    def is_seen(path: str) -> bool:
        return rows[path].hash_group in seen

    def with_issue(copy: Copy, issue: str) -> Copy:
        same_brand = rows[copy.path].brand == rows[copy.copy_of].brand
        return replace(copy, issue=issue if same_brand else "label_conflict")

    while leaks := [
        copy if is_seen(copy.copy_of) else replace(copy, path=copy.copy_of, copy_of=copy.path)
        for copy in copies
        if is_seen(copy.path) != is_seen(copy.copy_of)
    ]:
        classified += _best(with_issue(copy, "leaked") for copy in leaks)
        seen |= {rows[copy.path].hash_group for copy in leaks}
    return classified + _best(
        with_issue(copy, "duplicate") for copy in copies if not is_seen(copy.path)
    )


def mark_leaks(rows: Sequence[Row], copies: Sequence[Copy], rules: CopySeverities) -> list[Row]:
    """Add `leaked` to the rows of leaked photos, and drop excluded rows.

    Raises UserError for copies of severity `error`.
    """
    raise_for_errors(copies, rules)
    out = excluded_paths(copies, rules)
    leaked = {row.path for row in rows if row.leaked}
    leaked |= {copy.path for copy in copies if copy.issue == "leaked"}
    # An allowed label conflict is a leak if the other photo is a training photo or leaked: then the
    # model has seen the photo, although under another brand.
    unseen = {row.path for row in rows} - leaked
    leaked |= {
        copy.path
        for copy in copies
        if copy.issue == "label_conflict" and copy.copy_of not in unseen
    }
    groups = {row.hash_group for row in rows if row.path in leaked}
    return [
        replace(row, issues=(*row.issues, "leaked"))
        if row.hash_group in groups and not row.leaked
        else row
        for row in rows
        if row.path not in out
    ]


def _best(copies: Iterable[Copy]) -> list[Copy]:
    """The copy of highest similarity for each photo and issue; of equals, the first."""
    best: dict[tuple[str, str], Copy] = {}
    for copy in copies:
        known = best.get((copy.path, copy.issue))
        if known is None or copy.similarity > known.similarity:
            best[copy.path, copy.issue] = copy
    return list(best.values())
