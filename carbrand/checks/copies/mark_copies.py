"""Clusters of copies, and the issues that follow: leaked, duplicate, label conflict, suspected."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from carbrand.checks.copies.edited_copies import MatchedPair
from carbrand.checks.copies.fingerprint import Fingerprint
from carbrand.checks.copies.near_duplicates import find_near_duplicates
from carbrand.photos.manifest import Row
from carbrand.photos.union_find import UnionFind

# How a copy was found, the surest first.
MATCH_KINDS = ("bytes", "pixels", "hash")

# Pairs of rows, by number.
Pairs = Sequence[tuple[int, int]]


def cluster_copies(
    rows: Sequence[Row], fingerprints: Sequence[Sequence[Fingerprint]], distance: int
) -> UnionFind:
    """Clusters of rows, by number, that are connected by equal pixels or near-duplicates."""
    by_pixels: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_pixels[row.pixel_sha256].append(number)
    same = list(by_pixels.values())
    labels = find_near_duplicates([fingerprints[numbers[0]] for numbers in same], distance).labels()
    clusters = UnionFind(len(rows))
    for label, numbers in zip(np.asarray(labels).tolist(), same, strict=True):
        clusters.join((same[label][0], number) for number in numbers)
    return clusters


def mark_copies(
    rows: Sequence[Row],
    fingerprints: Sequence[Sequence[Fingerprint]],
    distance: int,
    edited: Pairs = (),
    joined: UnionFind | None = None,
) -> list[Row]:
    """Add the issues `label_conflict`, `leaked` and `duplicate` to `rows`.

    Of the copies in one split and brand, all but the first by path are `duplicate`; for training
    photos, that does not depend on test photos. A test photo with a copy in `train` is `leaked`.
    Copies under different brands are `label_conflict`, all of them.
    fingerprints: of each row. distance: Hamming distance of near-duplicates. edited: further pairs
    of copies. joined: the result of `cluster_copies`, if known.
    """
    marked = list(rows)
    everything = joined or cluster_copies(rows, fingerprints, distance)
    everything.join(edited)
    partners: defaultdict[int, list[int]] = defaultdict(list)
    for first, second in edited:
        partners[first].append(second)
    for members in everything.groups():
        # Two training photos may be connected only by a test photo.
        learned = [number for number in members if rows[number].split == "train"]
        seen, seen_of = [rows[n] for n in learned], [fingerprints[n] for n in learned]
        apart = (
            cluster_copies(seen, seen_of, distance) if len(learned) > 1 else UnionFind(len(learned))
        )
        places = {number: place for place, number in enumerate(learned)}
        pairs = [(number, other) for number in learned for other in partners[number]]
        apart.join((places[a], places[b]) for a, b in pairs if b in places)
        twins = [_by_path(seen[place] for place in own) for own in apart.groups()]
        cluster = _by_path([rows[number] for number in members])
        by_path = {row.path: row for row in _mark(cluster, twins)}
        for number in members:
            marked[number] = by_path[rows[number].path]
    return marked


def _by_path(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.path)


def _mark(cluster: Sequence[Row], twins: Sequence[Sequence[Row]]) -> Iterator[Row]:
    """Mark the rows of one cluster.

    twins: its training photos, in clusters that no test photo connects. All sorted by path.
    """
    originals = _Originals(cluster)
    in_train = {row.path: same for rows in twins for same in [_Originals(rows)] for row in rows}
    for row in cluster:
        issues, original = [], None
        among = originals if row.split == "test" else in_train.get(row.path)
        if among and among.first(row.split, row.brand) is not row:
            issues.append("duplicate")
            original = among.closest(row, [(row.split, row.brand)])
        if row.split == "test":
            learned = originals.closest(row, originals.of_split("train"))
            if learned:
                issues = ["leaked"]
                original = learned
        # Last, because the photo under another brand is the one a person must compare.
        contradiction = originals.closest(row, originals.of_other_brands(row))
        if contradiction:
            issues.append("label_conflict")
            original = contradiction
        yield dataclasses.replace(
            row,
            issues=(*row.issues, *issues),
            duplicate_of=original.path if original else "",
            match=match_kind(row, original) if original else "",
            cluster=cluster[0].path,
        )


SplitAndBrand = tuple[str, str]


class _Originals:
    """An index of a cluster: the first photo by split and brand, and by bytes or pixels."""

    def __init__(self, cluster: Sequence[Row]) -> None:
        self._first: dict[tuple[str, SplitAndBrand], Row] = {}
        for row in cluster:
            for key in ("", row.pixel_sha256, row.sha256):
                self._first.setdefault((key, (row.split, row.brand)), row)
        self._places = sorted({place for _, place in self._first}, reverse=True)  # train first

    def first(self, split: str, brand: str) -> Row:
        """The first photo of a split and brand."""
        return self._first["", (split, brand)]

    def of_split(self, split: str) -> list[SplitAndBrand]:
        """All brands of a split."""
        return [place for place in self._places if place[0] == split]

    def of_other_brands(self, row: Row) -> list[SplitAndBrand]:
        """All splits and brands of other brands than that of `row`."""
        return [place for place in self._places if place[1] != row.brand]

    def closest(self, row: Row, places: Sequence[SplitAndBrand]) -> Row | None:
        """A photo of the same bytes, else of the same pixels, else the first, among `places`."""
        for key in (row.sha256, row.pixel_sha256, ""):
            for place in places:
                found = self._first.get((key, place))
                if found and found is not row:
                    return found
        return None


def match_kind(a: Row, b: Row) -> str:
    """The MATCH_KINDS of two copies."""
    if a.sha256 == b.sha256:
        return "bytes"
    return "pixels" if a.pixel_sha256 == b.pixel_sha256 else "hash"


def mark_suspicions(rows: Sequence[Row], pairs: Iterable[MatchedPair]) -> list[Row]:
    """Add the issue `suspected` to rows that may be copies: scenes shot twice, parts of one photo.

    Of a training and a test photo, the test photo is suspected, else the later one by path; of
    several pairs, the best match counts. Photos that are certain copies are not suspected.
    """
    marked = list(rows)
    for pair in sorted(pairs, key=lambda pair: (-pair.match.share, pair.first, pair.second)):
        ends = (pair.first, pair.second)
        original, suspect = sorted(ends, key=lambda n: (rows[n].split != "train", rows[n].path))
        row, other = marked[suspect], rows[original]
        if row.suspected_of or row.leaked or (row.cluster and row.cluster == other.cluster):
            continue
        marked[suspect] = dataclasses.replace(
            row, issues=(*row.issues, "suspected"), suspected_of=other.path
        )
    return marked
