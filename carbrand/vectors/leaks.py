"""Test photos that their vectors show to be copies: of training photos, or of one another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from carbrand.photos.copies_file import Copy
from carbrand.photos.manifest import Row
from carbrand.photos.rules import CopyRules, paths_left_out, stop_at_errors
from carbrand.vectors.array_file import choose_rows
from carbrand.vectors.feature_store import StoredPhoto
from carbrand.vectors.space import Space
from carbrand.vectors.vector_copies import Pair, PhotoSet, find_copies


def find_leaks(
    rows: Sequence[Row],
    photos: PhotoSet,
    originals: Sequence[StoredPhoto],
    training: PhotoSet,
    space: Space,
) -> list[Copy]:
    """What no hash told of the test photos `rows`, each with its best match.

    `photos` holds vectors and thumbnails of the rows, `training` those of the originals. A copy
    under another brand is a `label_conflict`, else one of a training photo `leaked`, and one of a
    test photo that does not leak either a `duplicate`. A copy of a leaked test photo leaks too.
    """
    fresh = [number for number, row in enumerate(rows) if not row.leaked]
    leaks = _best(
        _describe(pair, rows[fresh[pair.photo]], originals[pair.original], "leaked")
        for pair in find_copies(_subset(photos, fresh), training, space)
    )
    leaks += _find_indirect(rows, photos, space, {copy.path for copy in leaks})
    leaked = {copy.path for copy in leaks}
    fresh = [number for number in fresh if rows[number].path not in leaked]
    inside = _best(
        _describe(pair, rows[fresh[pair.photo]], rows[fresh[pair.original]], "duplicate")
        for pair in find_copies(_subset(photos, fresh), None, space)
    )
    known = {row.path: row.cluster for row in rows if row.cluster}
    return leaks + [
        copy
        for copy in inside
        if copy.path not in known or known[copy.path] != known.get(copy.copy_of)
    ]


def _find_indirect(
    rows: Sequence[Row], photos: PhotoSet, space: Space, found: Collection[str]
) -> list[Copy]:
    """Test photos that are copies of leaked ones (known, or `found`), or of copies of these."""
    indirect: list[Copy] = []
    leaked = [number for number, row in enumerate(rows) if row.leaked or row.path in found]
    fresh = [number for number in range(len(rows)) if number not in set(leaked)]
    while leaked and fresh:
        copies = _best(
            _describe(pair, rows[fresh[pair.photo]], rows[leaked[pair.original]], "leaked")
            for pair in find_copies(_subset(photos, fresh), _subset(photos, leaked), space)
        )
        new = {copy.path for copy in copies if copy.issue == "leaked"}
        indirect += copies
        leaked = [number for number in fresh if rows[number].path in new]
        fresh = [number for number in fresh if rows[number].path not in new]
    return indirect


def mark_leaks(rows: Sequence[Row], copies: Sequence[Copy], rules: CopyRules) -> list[Row]:
    """The rows to count: `leaked` among their issues where they are, without those to leave out.

    Raises UserError where copies must stop the pipeline.
    """
    stop_at_errors(copies, rules)
    out = paths_left_out(copies, rules)
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
    return [
        replace(row, issues=(*row.issues, "leaked"))
        if row.path in leaked and not row.leaked
        else row
        for row in rows
        if row.path not in out
    ]


def _subset(photos: PhotoSet, numbers: Sequence[int]) -> PhotoSet:
    return PhotoSet(
        choose_rows(photos.vectors, numbers),
        choose_rows(photos.thumbnails, numbers),
        photos.aspects[np.array(numbers, np.int64)],
    )


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


def _describe(pair: Pair, row: Row, original: Row | StoredPhoto, issue: str) -> Copy:
    if row.brand != original.brand:
        issue = "label_conflict"
    return Copy(row.path, original.path, issue, pair.similarity, pair.mirrored)
