"""Series: photos of one scene, such as a burst, one shelf, one car walked around, a video's frames.

They are no copies of one another, but whoever has learned from one of them knows the others. So a
series never straddles folds, and a test photo from a series of training photos is told.

Evidence, all within one brand: the user's own names (checks/named_series.py), which settle it; one
camera within a minute; vectors, joined by average linkage; and consecutive numbers in file names,
where the vectors show that the order of names means something.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

import numpy as np

from carbrand.parallel.one_thread import one_thread
from carbrand.photos.manifest import Row
from carbrand.photos.union_find import UnionFind
from carbrand.vectors.standardizer import Standardizer

# Between two photos of one camera.
_BURST_SECONDS = 60
# Photos per linkage, whose time and memory grow with the square; the mean vectors of the series in
# each part are then linked in turn.
_PART = 4000
# How much less similar photos with consecutive numbers may be, where order means something: if
# they are more similar than other pairs by so many standard errors.
_CONSECUTIVE_BONUS = 0.15
_MIN_Z = 4.0
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)


@one_thread()
def find_series(
    rows: Sequence[Row],
    vectors: np.ndarray,
    space: Standardizer,
    copies: Sequence[str],
    similarity: float,
) -> list[str]:
    """The series of each training photo: the path of the first photo in it.

    vectors: (n, d) float32. copies: the group of copies that each photo is in, which stay
    together. similarity: two sets of photos are one series if the mean cosine similarity of their
    pairs is at least this; 1 switches evidence by vectors off.

    The photos of a brand that would be a single series get their groups of copies instead: nothing
    could be held out of them otherwise.
    """
    clusters = UnionFind(len(rows))
    _join_equal(clusters, range(len(rows)), copies)
    _join_equal(clusters, *_named(rows))
    guessed = [number for number, row in enumerate(rows) if not row.series]
    clusters.join(_bursts(rows, guessed))
    if similarity < 1:
        order = _NameOrder([pair for pair in _consecutive(rows) if not _is_named(rows, pair)])
        for members in _by_brand(rows, guessed):
            units = space.unit_vectors(vectors[members])
            _join_equal(clusters, members, _link(units, similarity).tolist())
            order.add(members, units)
        clusters.join(order.similar(similarity - _CONSECUTIVE_BONUS))
    series = [rows[label].path for label in clusters.labels()]
    for members in _by_brand(rows, range(len(rows))):
        if len({series[number] for number in members}) == 1:
            for number in members:
                series[number] = copies[number]
    return series


def find_series_of_tests(
    tests: Sequence[Row],
    test_vectors: np.ndarray,
    training: Sequence[Row],
    vectors: np.ndarray,
    space: Standardizer,
    series: Sequence[str],
    similarity: float,
) -> list[str]:
    """The series of training photos that each test photo belongs to, or an empty text.

    By the user's name, by camera and time, or if the mean cosine similarity to the photos of the
    series is at least `similarity`. No test label is used.
    """
    names = {row.series: name for row, name in zip(training, series, strict=True) if row.series}
    tested = space.unit_vectors(test_vectors)
    best, found = np.full(len(tests), similarity if similarity < 1 else np.inf), [""] * len(tests)
    for rows in _by_brand(training, range(len(training))):
        starts, means = _mean_by_name(
            space.unit_vectors(vectors[rows]), [series[row] for row in rows]
        )
        cosines = tested @ means.T
        nearest = cosines.argmax(axis=1)
        for number in np.flatnonzero(cosines.max(axis=1) >= best):
            best[number] = cosines[number, nearest[number]]
            found[number] = starts[nearest[number]]
    everyone = [*tests, *training]
    for pair in _bursts(everyone, range(len(everyone))):
        one, other = sorted(pair)
        if one < len(tests) <= other:
            found[one] = found[one] or series[other - len(tests)]
    return [
        names.get(row.series, "") if row.series else name
        for row, name in zip(tests, found, strict=True)
    ]


def _join_equal(clusters: UnionFind, members: Sequence[int], names: Sequence[object]) -> None:
    """Merge the members that have the same name."""
    first: dict[object, int] = {}
    clusters.join((first.setdefault(name, n), n) for n, name in zip(members, names, strict=True))


def _named(rows: Sequence[Row]) -> tuple[list[int], list[str]]:
    """The photos that the user named a series for, and its name."""
    named = [number for number, row in enumerate(rows) if row.series]
    return named, [rows[number].series for number in named]


def _is_named(rows: Sequence[Row], pair: tuple[int, int]) -> bool:
    return any(rows[number].series for number in pair)


def _by_brand(rows: Sequence[Row], members: Sequence[int]) -> Iterator[list[int]]:
    brands: dict[str, list[int]] = {}
    for number in members:
        brands.setdefault(rows[number].brand, []).append(number)
    yield from brands.values()


def _bursts(rows: Sequence[Row], members: Sequence[int]) -> list[tuple[int, int]]:
    """Photos of one brand that one camera took shortly after one another."""
    taken = sorted(
        (rows[n].brand, rows[n].camera, datetime.fromisoformat(rows[n].taken), n)
        for n in members
        if rows[n].taken and rows[n].camera
    )
    return [
        (before[3], after[3])
        for before, after in pairwise(taken)
        if before[:2] == after[:2] and (after[2] - before[2]).total_seconds() <= _BURST_SECONDS
    ]


def _link(units: np.ndarray, similarity: float) -> np.ndarray:
    """(n,) int: the cluster of each of the vectors (n, d) of norm 1, by average linkage."""
    parts = [_link_part(units[n : n + _PART], similarity) for n in range(0, len(units), _PART)]
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(part.max() + 1 for part in parts)])
    clusters = np.concatenate([part + start for part, start in zip(parts, starts, strict=False)])
    if starts[-1] > _PART:
        return clusters
    means = _mean_by_name(units, clusters.tolist())[1]
    return _link_part(means, similarity)[clusters]


def _mean_by_name(units: np.ndarray, names: Sequence[object]) -> tuple[list[str], np.ndarray]:
    """The names (k), sorted, and the means (k, d) float32 of the vectors (n, d) with each name.

    The product of two means is the mean cosine similarity of the pairs.
    """
    known, place = np.unique(np.asarray(names), return_inverse=True)
    sums = np.zeros((len(known), units.shape[1]), np.float32)
    np.add.at(sums, place, units)
    return known.tolist(), sums / np.bincount(place)[:, None].astype(np.float32)


def _link_part(units: np.ndarray, similarity: float) -> np.ndarray:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(units) < 2:
        return np.zeros(len(units), int)
    distances = np.maximum(1 - units @ units.T, 0).astype(np.float64)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    return fcluster(tree, 1 - similarity, "distance") - 1


def _consecutive(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Photos of one brand whose names differ in a number, by one."""
    places: dict[tuple[str, str, int, str], int] = {}
    for number, row in enumerate(rows):
        match = _NUMBERED.fullmatch(row.path)
        if match:
            places[row.brand, match[1], int(match[2]), match[3]] = number
    after = {key: places.get((key[0], key[1], key[2] + 1, key[3])) for key in places}
    return [(places[key], other) for key, other in after.items() if other is not None]


class _NameOrder:
    """Whether photos with consecutive numbers are more similar than other pairs of a brand."""

    def __init__(self, consecutive: Sequence[tuple[int, int]]) -> None:
        self._after = dict(consecutive)
        self._cosines: dict[tuple[int, int], float] = {}
        self._total = self._pairs = 0.0

    def add(self, members: Sequence[int], units: np.ndarray) -> None:
        """Add the photos of a brand, with their vectors (n, d) of norm 1."""
        place = {number: row for row, number in enumerate(members)}
        for number, row in place.items():
            after = self._after.get(number)
            if after is not None:
                self._cosines[number, after] = float(units[row] @ units[place[after]])
        # The sum over all pairs follows from the sum of the vectors.
        whole = units.sum(axis=0, dtype=np.float64)
        self._total += float(whole @ whole) - len(members)
        self._pairs += len(members) * (len(members) - 1)

    def similar(self, similarity: float) -> list[tuple[int, int]]:
        """The consecutive photos that are so similar; none where order means nothing."""
        cosines = np.array(list(self._cosines.values()))
        if len(cosines) < 2:
            return []
        error = float(cosines.std(ddof=1)) / math.sqrt(len(cosines))
        if cosines.mean() - self._total / self._pairs < _MIN_Z * error:
            return []
        return [pair for pair, cosine in self._cosines.items() if cosine >= similarity]
