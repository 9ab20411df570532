"""Clusters of copies: connected components of all pairs that were found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from carbrand.photos.copies_file import Copy
from carbrand.photos.manifest import Row
from carbrand.photos.union_find import UnionFind
from carbrand.report.results import Results

CODES = ("label_conflict", "leaked", "duplicate")
# How a copy was found, by the column `match` of the manifest.
HOW = {
    "bytes": "same bytes",
    "pixels": "same pixels in another file",
    "hash": "near-duplicate",
}


@dataclass(frozen=True)
class CopiedPhoto:
    """A photo of a cluster. `copy_of` and `how` it was found are empty for the original.

    codes: issue codes of copies, found by hashes or by vectors.
    """

    row: Row
    copy_of: str
    how: str
    codes: tuple[str, ...]
    counts: bool  # False: left out of the training or of the accuracy


@dataclass(frozen=True)
class Cluster:
    """Two or more photos that show the same; training photos first."""

    photos: tuple[CopiedPhoto, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """Train before test."""
        return tuple(sorted({photo.row.split for photo in self.photos}, reverse=True))

    @property
    def brands(self) -> tuple[str, ...]:
        """Sorted; more than one is a label conflict."""
        return tuple(sorted({photo.row.brand for photo in self.photos}))


def find_clusters(run: Results) -> tuple[Cluster, ...]:
    """All clusters: across the splits first, then those under two brands, then by path."""
    rows = {row.path: row for row in run.manifest}
    copies = {copy.path: copy for copy in (*run.train_copies, *run.test_copies)}
    codes, counted = _codes_by_path(run), run.used

    clusters = []
    for paths in _components(_pairs(rows, copies.values()), sorted(rows)):
        if not any(codes[path] for path in paths):
            continue  # the parameters say to ignore copies
        photos = []
        for path in sorted(paths, key=lambda path: (rows[path].split != "train", path)):
            copy_of, how = _how_found(rows[path], copies.get(path))
            photos.append(CopiedPhoto(rows[path], copy_of, how, codes[path], path in counted))
        clusters.append(Cluster(tuple(photos)))

    def order(cluster: Cluster) -> tuple[bool, bool, str]:
        first = cluster.photos[0].row.path
        return len(cluster.splits) == 1, len(cluster.brands) == 1, first

    return tuple(sorted(clusters, key=order))


def _codes_by_path(run: Results) -> dict[str, tuple[str, ...]]:
    found = {row.path: set(row.issues) & set(CODES) for row in run.manifest}
    for photo in run.photos:
        if photo.leaked:
            found[photo.path].add("leaked")
    for copy in (*run.train_copies, *run.test_copies):
        found[copy.path] |= {copy.issue} & set(CODES)
        if copy.issue == "label_conflict":
            found[copy.copy_of] |= {copy.issue}
    return {path: tuple(sorted(codes, key=CODES.index)) for path, codes in found.items()}


def _how_found(row: Row, copy: Copy | None) -> tuple[str, str]:
    """What the photo is a copy of, and how that was found."""
    if row.duplicate_of:
        return row.duplicate_of, HOW.get(row.match, row.match.replace("_", " ") or "copy")
    if copy is None:
        return "", ""
    mirrored = ", mirrored" if copy.mirrored else ""
    how = f"same picture or a part of it{mirrored}, found by vectors"
    return copy.copy_of, f"{how} (similarity {copy.similarity:.3f})"


def _pairs(rows: Mapping[str, Row], copies: Iterable[Copy]) -> Iterable[tuple[str, str]]:
    for row in rows.values():
        for other in (row.duplicate_of, row.cluster):
            if other and other != row.path and other in rows:
                yield row.path, other
    for copy in copies:
        yield copy.path, copy.copy_of


def _components(pairs: Iterable[tuple[str, str]], paths: Sequence[str]) -> list[list[str]]:
    """The connected components of the graph of pairs; each, and all of them, by path."""
    numbers = {path: number for number, path in enumerate(paths)}
    clusters = UnionFind(len(paths))
    clusters.join((numbers[a], numbers[b]) for a, b in pairs)
    return [[paths[number] for number in members] for members in clusters.groups()]
