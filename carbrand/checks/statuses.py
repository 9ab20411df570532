"""The status of each photo, from its own issues and from copies among the photos in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from carbrand.checks.copies.block_match import BlockMatch
from carbrand.checks.copies.edit_candidates import EditCandidate
from carbrand.checks.copies.edited_copies import MatchedPair, find_edited_copies, match_files
from carbrand.checks.copies.mark_copies import cluster_copies, mark_copies, mark_suspicions
from carbrand.checks.inspection import Inspection
from carbrand.checks.issues import NEVER_PHOTOS, apply_severities
from carbrand.node.progress import track
from carbrand.parallel.pool import parallel_map
from carbrand.photos.manifest import EXCLUDED, Row
from carbrand.photos.photo_limits import MAX_PIXELS
from carbrand.photos.union_find import UnionFind


def set_statuses(
    inspected: Sequence[Inspection],
    severities: Mapping[str, str],
    brands_out: set[str],
    near_distance: int,
    max_pixels: int = MAX_PIXELS,
) -> list[Row]:
    """Set the status of each row: from its own issues first, then from copies.

    Only photos that are not excluded by their own issues count as originals of copies.
    """
    rows = [
        replace(item.row, issues=(*item.row.issues, "missing_brand"))
        if item.row.brand in brands_out and not set(item.row.issues) & set(NEVER_PHOTOS)
        else item.row
        for item in inspected
    ]
    alone = [apply_severities(row, severities) for row in rows]
    used = [
        number
        for number, row in enumerate(alone)
        if row.status != EXCLUDED and row.pixel_sha256  # a text among them stops the pipeline alone
    ]
    chosen = [rows[number] for number in used]
    fingerprints = [inspected[number].fingerprints for number in used]
    joined = cluster_copies(chosen, fingerprints, near_distance)
    edited = find_edited_photos(
        chosen, [inspected[number].windows for number in used], joined, max_pixels
    )
    copies = [(pair.first, pair.second) for pair in edited if pair.match.is_copy]
    marked = mark_copies(chosen, fingerprints, near_distance, copies, joined)
    marked = mark_suspicions(marked, [pair for pair in edited if not pair.match.is_copy])
    for number, row in zip(used, marked, strict=True):
        alone[number] = apply_severities(row, severities)
    return alone


def find_edited_photos(
    rows: Sequence[Row], windows: Sequence[np.ndarray], joined: UnionFind, max_pixels: int
) -> list[MatchedPair]:
    """Pairs of rows, by number, of which one is an edited copy of the other, or may be."""

    def match_all(candidates: Sequence[EditCandidate]) -> Iterator[BlockMatch]:
        items = ((rows[it.first].path, rows[it.second].path, it.box_pairs) for it in candidates)
        matches = parallel_map(partial(match_files, max_pixels=max_pixels), items)
        yield from track(matches, "Comparing photos", len(candidates))

    return find_edited_copies(windows, joined, [row.split == "train" for row in rows], match_all)
