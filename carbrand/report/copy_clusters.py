"""Copies put together: every photo that shows the same belongs into one cluster, not into pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from carbrand.photos.copies_file import Copy
from carbrand.photos.manifest import Row
from carbrand.report.results import Results

CODES = ("label_conflict", "leaked", "duplicate")
# How a copy shows, by the column `match` of the manifest.
HOW = {
    "bytes": "same bytes",
    "pixels": "same pixels in another file",
    "hash": "nearly the same picture",
}


@dataclass(frozen=True)
class CopiedPhoto:
    """A photo of a cluster. What it is a copy of, and how that shows, are empty for the first.

    `codes` are those that copies have, by whatever the copy was found.
    """

    row: Row
    copy_of: str
    how: str
    codes: tuple[str, ...]
    counts: bool  # False: left out, of the training or of the accuracy


@dataclass(frozen=True)
class Cluster:
    """At least two photos that show the same, training photos first."""

    photos: tuple[CopiedPhoto, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """Train before test."""
        return tuple(sorted({photo.row.split for photo in self.photos}, reverse=True))

    @property
    def brands(self) -> tuple[str, ...]:
        """Sorted; more than one is a contradiction."""
        return tuple(sorted({photo.row.brand for photo in self.photos}))


def find_clusters(run: Results) -> tuple[Cluster, ...]:
    """Every cluster of copies, by whatever it was found; those across the splits come first, then
    those under two brands, then by path.
    """
    rows = {row.path: row for row in run.manifest}
    told = (*run.train_copies, *run.test_copies)
    copies = {copy.path: copy for copy in told}
    codes, counted = _codes_by_path(run), run.used

    def describe(path: str) -> CopiedPhoto:
        copy_of, how = _how(rows[path], copies.get(path))
        return CopiedPhoto(rows[path], copy_of, how, codes[path], path in counted)

    clusters = [
        Cluster(
            tuple(
                describe(path)
                for path in sorted(paths, key=lambda path: (rows[path].split != "train", path))
            )
        )
        for paths in _connected(_links(rows, told))
        # Where none has a code, copies are to be ignored.
        if any(codes[path] for path in paths)
    ]
    return tuple(
        sorted(
            clusters,
            key=lambda it: (len(it.splits) == 1, len(it.brands) == 1, it.photos[0].row.path),
        )
    )


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


def _how(row: Row, copy: Copy | None) -> tuple[str, str]:
    """What the photo is a copy of, and how that shows."""
    if row.duplicate_of:
        return row.duplicate_of, HOW.get(row.match, row.match.replace("_", " ") or "copy")
    if copy is None:
        return "", ""
    mirrored = ", mirrored" if copy.mirrored else ""
    how = f"same picture or a part of it{mirrored}, found by the network"
    return copy.copy_of, f"{how} (similarity {copy.similarity:.3f})"


def _links(rows: Mapping[str, Row], copies: Iterable[Copy]) -> Iterable[tuple[str, str]]:
    for row in rows.values():
        for other in (row.duplicate_of, row.cluster):
            if other and other != row.path and other in rows:
                yield row.path, other
    for copy in copies:
        yield copy.path, copy.copy_of


def _connected(links: Iterable[tuple[str, str]]) -> list[set[str]]:
    """The paths that links tie together, directly or through others."""
    neighbours: defaultdict[str, set[str]] = defaultdict(set)
    for a, b in links:
        neighbours[a].add(b)
        neighbours[b].add(a)
    seen: set[str] = set()
    groups = []
    for start in sorted(neighbours):
        if start in seen:
            continue
        group, todo = {start}, [start]
        while todo:
            new = neighbours[todo.pop()] - group
            group |= new
            todo += new
        seen |= group
        groups.append(group)
    return groups
