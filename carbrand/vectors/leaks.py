"""Which test photos leak: the model has seen them, or a copy of them, in training."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from carbrand.photos.copies_file import Copy
from carbrand.photos.manifest import Row, kept_training_photos
from carbrand.photos.severities import CopySeverities, excluded_paths, raise_for_errors


def classify_copies(
    manifest: Sequence[Row], found: Iterable[Copy], unlearned: Collection[str]
) -> list[Copy]:
    """What the copies of test photos that vectors show mean; each photo's best match.

    Under another brand a copy is a `label_conflict`, else one of a photo that the model has seen
    `leaked`, and one of another test photo a `duplicate`. A copy of a leaked test photo leaks too.
    unlearned: training photos that the model has not seen.
    """
    rows = {row.path: row for row in manifest}
    learned = [row for row in kept_training_photos(manifest) if row.path not in unlearned]
    seen = {row.hash_group for row in learned} | {row.hash_group for row in manifest if row.leaked}
    copies = [copy for copy in found if copy.copy_of not in unlearned]
    judged: list[Copy] = []

    def is_seen(path: str) -> bool:
        return rows[path].hash_group in seen

    def judge(copy: Copy, issue: str) -> Copy:
        same_brand = rows[copy.path].brand == rows[copy.copy_of].brand
        return replace(copy, issue=issue if same_brand else "label_conflict")

    while leaks := [
        copy if is_seen(copy.copy_of) else replace(copy, path=copy.copy_of, copy_of=copy.path)
        for copy in copies
        if is_seen(copy.path) != is_seen(copy.copy_of)
    ]:
        judged += _best(judge(copy, "leaked") for copy in leaks)
        seen |= {rows[copy.path].hash_group for copy in leaks}
    return judged + _best(judge(copy, "duplicate") for copy in copies if not is_seen(copy.path))


def mark_leaks(rows: Sequence[Row], copies: Sequence[Copy], rules: CopySeverities) -> list[Row]:
    """The rows to count: `leaked` among their issues where they are, without those to leave out.

    Raises UserError where copies must stop the pipeline.
    """
    raise_for_errors(copies, rules)
    out = excluded_paths(copies, rules)
    leaked = {row.path for row in rows if row.leaked}
    leaked |= {copy.path for copy in copies if copy.issue == "leaked"}
    # A conflict that stays in is no more than odd between two test photos, but with a training
    # photo, or one that leaked, it means that the model has seen the photo, under whatever brand.
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
    """Of each photo and issue, the copy that fits best; of equals, the first.

    A photo may be a copy of one of its own brand and of one of another: both are told.
    """
    best: dict[tuple[str, str], Copy] = {}
    for copy in copies:
        known = best.get((copy.path, copy.issue))
        if known is None or copy.similarity > known.similarity:
            best[copy.path, copy.issue] = copy
    return list(best.values())
