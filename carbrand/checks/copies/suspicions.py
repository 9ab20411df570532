"""Photos that may be copies of others: two shots of one scene, two parts of one photo, an edit that
left little of it. A person has to say; until then they count, and are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from carbrand.checks.copies.edited_copies import MatchedPair
from carbrand.photos.manifest import Row


def mark_suspicions(rows: Sequence[Row], pairs: Iterable[MatchedPair]) -> list[Row]:
    """`rows`, with `suspected` among the issues of those that may be copies, and of which.

    Of a training and a test photo the latter is suspected, else the later by path; of several
    pairs, the one that matches best. Of what is surely a copy nothing is suspected.
    """
    marked = list(rows)
    for pair in sorted(pairs, key=lambda pair: (-pair.match.share, pair.first, pair.second)):
        ends = (pair.first, pair.second)
        original, suspect = sorted(ends, key=lambda n: (rows[n].split != "train", rows[n].path))
        row, other = marked[suspect], rows[original]
        if row.suspected_of or row.leaked or (row.cluster and row.cluster == other.cluster):
            continue
        marked[suspect] = replace(row, issues=(*row.issues, "suspected"), suspected_of=other.path)
    return marked
