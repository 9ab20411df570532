"""Copies among the photos, and what follows: a leak, a duplicate, a label conflict."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from carbrand.fingerprint import Frame
from carbrand.manifest import Row
from carbrand.near_duplicates import find_near_duplicates

# From the surest on.
WAYS_TO_MATCH = ("bytes", "pixels", "hash")


def mark_copies(
    rows: Sequence[Row], fingerprints: Sequence[Sequence[Frame]], distance: int
) -> list[Row]:
    """`rows` with what shows between photos: `label_conflict`, `leaked`, `duplicate`.

    Of the copies inside one split the first by path stays, the rest are `duplicate`. A test photo
    with a copy in `train` is `leaked`. Copies under two brands are a `label_conflict`, each one.
    `fingerprints` are those of the rows; `distance` is in bits of hash.
    """
    marked = list(rows)
    for members in _clusters(rows, fingerprints, distance):
        cluster = sorted((rows[number] for number in members), key=lambda row: row.path)
        by_path = {row.path: row for row in _mark(cluster)}
        for number in members:
            marked[number] = by_path[rows[number].path]
    return marked


def _clusters(
    rows: Sequence[Row], fingerprints: Sequence[Sequence[Frame]], distance: int
) -> Iterator[list[int]]:
    """The numbers of rows that are copies of one another: a list for each two or more."""
    by_pixels: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_pixels[row.pixel_sha256].append(number)
    same = list(by_pixels.values())
    labels = find_near_duplicates([fingerprints[numbers[0]] for numbers in same], distance).labels()
    clusters: defaultdict[int, list[int]] = defaultdict(list)
    for label, numbers in zip(np.asarray(labels).tolist(), same, strict=True):
        clusters[label] += numbers
    yield from (members for members in clusters.values() if len(members) > 1)


def _mark(cluster: Sequence[Row]) -> Iterator[Row]:
    """`cluster`: copies of one photo, sorted by path."""
    first: dict[str, Row] = {}
    for row in cluster:
        first.setdefault(row.split, row)
    trained_on = [row for row in cluster if row.split == "train"]
    for row in cluster:
        issues, original = [], None
        others = [other for other in cluster if other.brand != row.brand]
        if others:
            issues.append("label_conflict")
            original = _closest(row, others)
        if row.split == "test" and trained_on:
            issues.append("leaked")
            original = _closest(row, trained_on)
        elif row is not first[row.split]:
            issues.append("duplicate")
            original = first[row.split]
        yield dataclasses.replace(
            row,
            issues=(*row.issues, *issues),
            duplicate_of=original.path if original else "",
            match=how_they_match(row, original) if original else "",
            cluster=cluster[0].path,
        )


def _closest(row: Row, others: Sequence[Row]) -> Row:
    """The one of the same bytes, else of the same pixels, else the first."""
    return min(others, key=lambda other: WAYS_TO_MATCH.index(how_they_match(row, other)))


def how_they_match(a: Row, b: Row) -> str:
    """By which of WAYS_TO_MATCH two copies show."""
    if a.sha256 == b.sha256:
        return "bytes"
    return "pixels" if a.pixel_sha256 == b.pixel_sha256 else "hash"
