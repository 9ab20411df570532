"""Test photos that their vectors show to be copies: of training photos, or of one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from carbrand.copies_file import Copy
from carbrand.feature_store import StoredPhoto
from carbrand.manifest import Row
from carbrand.rules import CopyRules, paths_left_out, stop_at_errors
from carbrand.vector_copies import Pair, PhotoSet, Space, find_copies


def find_leaks(
    rows: Sequence[Row],
    photos: PhotoSet,
    originals: Sequence[StoredPhoto],
    training: PhotoSet,
    space: Space,
) -> list[Copy]:
    """What no hash told of the test photos `rows`, each with its best match.

    `photos` holds what the network saw of the rows, `training` what it saw of the originals. A copy
    under another brand is a `label_conflict`, else one of a training photo `leaked`, and one of a
    test photo that does not leak either a `duplicate`.
    """
    fresh = [number for number, row in enumerate(rows) if not row.leaked]
    leaks = [
        _describe(pair, rows[fresh[pair.photo]], originals[pair.original], "leaked")
        for pair in _best(find_copies(_subset(photos, fresh), training, space))
    ]
    leaked = {copy.path for copy in leaks}
    fresh = [number for number in fresh if rows[number].path not in leaked]
    pairs = find_copies(_subset(photos, fresh), None, space)
    inside = [
        _describe(pair, rows[fresh[pair.photo]], rows[fresh[pair.original]], "duplicate")
        for pair in _best(pairs)
    ]
    known = {row.path: row.cluster for row in rows if row.cluster}
    return leaks + [
        copy
        for copy in inside
        if copy.path not in known or known[copy.path] != known.get(copy.copy_of)
    ]


def mark_leaks(rows: Sequence[Row], copies: Sequence[Copy], rules: CopyRules) -> list[Row]:
    """The rows to count: `leaked` among their issues where they are, without those to leave out.

    Raises UserError where copies must stop the pipeline.
    """
    stop_at_errors(copies, rules)
    out = paths_left_out(copies, rules)
    # What brand it has nobody knows, where both stay out; where that is only worth a warning, the
    # model has seen the photo all the same.
    leaked = {
        copy.path
        for copy in copies
        if copy.issue == "leaked" or (copy.issue == "label_conflict" and copy.path not in out)
    }
    return [
        replace(row, issues=(*row.issues, "leaked")) if row.path in leaked else row
        for row in rows
        if row.path not in out
    ]


def _subset(photos: PhotoSet, numbers: Sequence[int]) -> PhotoSet:
    chosen = np.array(numbers, np.int64)
    return PhotoSet(photos.vectors[chosen], photos.thumbnails[chosen], photos.aspects[chosen])


def _best(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """Of each photo, the pair that fits best; of equals, the first."""
    best: dict[int, Pair] = {}
    for pair in pairs:
        if pair.photo not in best or pair.similarity > best[pair.photo].similarity:
            best[pair.photo] = pair
    yield from best.values()


def _describe(pair: Pair, row: Row, original: Row | StoredPhoto, issue: str) -> Copy:
    if row.brand != original.brand:
        issue = "label_conflict"
    return Copy(row.path, original.path, issue, pair.similarity, pair.mirrored)
