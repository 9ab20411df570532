"""Whether two small grey pictures are versions of one photo, although parts were covered.

One picture is laid over the other, and the blocks are counted whose details agree. Under a caption,
a logo or a sticker no block agrees, outside of it all of them do. Photos of two things of one kind
agree in a few blocks; two shots of one scene in many, but not exactly: a hand moves, and what is
near moves farther than what is far. So copies must fit as they are, or turned about the centre;
what fits after a robust affine map is suspicious (LOG.md has the figures).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

PICTURE_PX = 64
# A block agrees where its details correlate so well, and are as much stronger or weaker than in the
# other picture as those of all blocks that agree, give or take this factor: the same car in another
# colour has its edges in the same places.
_MIN_BLOCK_CORRELATION = 0.9
_SAME_GAIN = 1.3
# Of copies at least 0.6 of the blocks agree, in nine of ten 0.66. Of different photos, also of one
# drawn car in two colours and of one emblem, at most 0.58 do.
_MIN_SHARE = 0.6
# Of the blocks that are similar at all, nearly all of a copy agree (0.83), of a second shot at most
# 0.74 where 0.6 of all agree.
_SIMILAR = 0.5
_MIN_CLEAN = 0.77
# From here on a person may look at both.
_MIN_SUSPICIOUS_SHARE = 0.5
_MIN_MATCHING_BLOCKS = 8
# Of one photo everything is seen in its copy, but for the corners that a tilt cuts off.
_MIN_OVERLAP = 0.93
# In shares of the side: what moves less than this is still. Hands move by 0.006 at least.
_STILL = 0.008
# A turn about the centre: how far that may move, in shares of the side, and the sine of the angle.
_CENTRED = 0.012
_MIN_ROTATION = 0.01
# Grey levels (of 255). Blocks with less detail say nothing.
_FLAT = 2.5
# What is finer than the first is noise of the compression, what is coarser than the second shading.
_NOISE_PX, _SHADING_PX = 0.7, 3.0
# A block is followed where it correlates so well, and so many are needed to fit a map.
_MIN_TRACKED_CORRELATION = 0.5
_FEWEST = 6
# Of the followed blocks with detail, at first sight: fewer, and the photos are others.
_MIN_TRACKED_SHARE = 0.3
# How far a map may shrink or enlarge areas.
_MAX_ZOOM = 2.5
# Shares of the side: what lies nearer to the edge has no block of its own in the other picture.
_EDGE = 0.03
_ROUNDS = 6
_TINY = 1e-3


@dataclass(frozen=True)
class BlockMatch:
    """How two pictures agree.

    share: of the blocks with detail, where both are seen, those that agree, in 0…1.
    clean: those that agree of all that are similar, in 0…1.
    blocks: how many agree.
    overlap: the share of the one that is seen in the other, of that of which more is.
    exact: whether they fit as they are, or turned about the centre.
    """

    share: float
    clean: float
    blocks: int
    overlap: float
    exact: bool

    @property
    def is_copy(self) -> bool:
        """Whether the two are surely versions of one photo."""
        agree = self.share >= _MIN_SHARE and self.clean >= _MIN_CLEAN
        return self.exact and agree and self.overlap >= _MIN_OVERLAP and self.is_suspicious

    @property
    def is_suspicious(self) -> bool:
        """Whether a person should look at both: copies, other parts or other shots of a scene."""
        return self.share >= _MIN_SUSPICIOUS_SHARE and self.blocks >= _MIN_MATCHING_BLOCKS


NO_BLOCK_MATCH = BlockMatch(0.0, 0.0, 0, 0.0, exact=False)


class _Grid:
    """Blocks of a square picture, and where they are looked for in another one.

    side: of the picture. size: of a block. step: from block to block. reach: how far a block is
    looked for, to all sides. All in pixels.
    """

    def __init__(self, side: int, size: int, step: int, reach: int) -> None:
        self.side, self.size, self.reach = side, size, reach
        margin = (side - size) % step // 2
        corners = np.arange(margin, side - size + 1, step)
        tops, lefts = (axis.ravel() for axis in np.meshgrid(corners, corners, indexing="ij"))
        inside = np.arange(size)
        self.places = _flat_places(tops, lefts, inside, side)  # (blocks, size²)
        shifts = np.arange(2 * reach + 1)
        down, right = (axis.ravel() for axis in np.meshgrid(shifts, shifts, indexing="ij"))
        self.shifts = (np.stack([down, right], axis=1) - reach) / side  # (shifts, 2)
        self.windows = _flat_places(  # (blocks, shifts, size²), in the padded picture
            (tops[:, None] + down).ravel(),
            (lefts[:, None] + right).ravel(),
            inside,
            side + 2 * reach,
        ).reshape(len(tops), len(down), -1)
        self.centres = (np.stack([tops, lefts], axis=1) + size / 2) / side  # (blocks, 2)

    def contrast(self, detail: np.ndarray) -> np.ndarray:
        """Root mean square of each block's detail about its mean, (blocks,)."""
        return detail.ravel()[self.places].std(axis=1)

    def follow(self, detail: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best correlation of each block with the other picture near its place, (blocks,),
        and how far it lies from there, (blocks, 2) in shares of the side.
        """
        blocks = detail.ravel()[self.places]
        blocks = blocks - blocks.mean(axis=1, keepdims=True)
        blocks /= np.maximum(np.sqrt((blocks**2).sum(axis=1, keepdims=True)), 1e-6)
        windows = np.pad(other, self.reach, mode="edge").ravel()[self.windows]
        products = (windows @ blocks[:, :, None])[:, :, 0]
        spread = (windows**2).sum(axis=2) - windows.sum(axis=2) ** 2 / self.size**2
        correlations = products / np.sqrt(np.maximum(spread, 1e-3))
        best = correlations.argmax(axis=1)
        return correlations[np.arange(len(best)), best], self.shifts[best]


def _flat_places(tops: np.ndarray, lefts: np.ndarray, inside: np.ndarray, side: int) -> np.ndarray:
    rows = tops[:, None, None] + inside[None, :, None]
    columns = lefts[:, None, None] + inside[None, None, :]
    return (rows * side + columns).reshape(len(tops), -1)


_COARSE = _Grid(PICTURE_PX // 2, 8, 4, reach=3)
_FINE = _Grid(PICTURE_PX, 12, 8, reach=2)
_LAST = _Grid(PICTURE_PX, 8, 8, reach=1)
_EXACT = _Grid(PICTURE_PX, 8, 8, reach=0)
_CORNERS = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
# All over a picture.
_POINTS = np.stack(np.meshgrid(*[(np.arange(PICTURE_PX) + 0.5) / PICTURE_PX] * 2), 2).reshape(-1, 2)


@dataclass(frozen=True)
class _Map:
    """Where a point of one picture lies in the other, in shares of the side."""

    matrix: np.ndarray  # (2, 2)
    shift: np.ndarray  # (2,)

    def of(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) of (n, 2)."""
        return (points - 0.5) @ self.matrix.T + 0.5 + self.shift

    def after(self, other: _Map) -> _Map:
        """First the other, then this one."""
        return _Map(self.matrix @ other.matrix, self.matrix @ other.shift + self.shift)

    @property
    def is_exact(self) -> bool:
        """Whether nothing moves, but for what was cut off inexactly, or it turns about the centre
        (and grows or shrinks, perhaps).
        """
        if np.abs(self.of(_CORNERS) - _CORNERS).max() <= _STILL:
            return True
        right, down = self.matrix[0, 1], self.matrix[1, 0]
        turned = right * down < 0 and math.sqrt(-right * down) >= _MIN_ROTATION
        return bool(turned and np.abs(self.shift).max() <= _CENTRED)

    def show(self, picture: np.ndarray) -> np.ndarray:
        """The picture (s, s) float32 as it is seen from the other one."""
        from scipy.ndimage import affine_transform

        side = len(picture)
        corner = self.of(np.full((1, 2), 0.5 / side))[0] * side - 0.5
        return affine_transform(
            picture, self.matrix, corner, order=1, mode="nearest", output=np.float32
        )


def match(a: np.ndarray, b: np.ndarray) -> BlockMatch:
    """How well `a` can be laid over `b`, both (PICTURE_PX, PICTURE_PX) grey levels.

    They are to lie nearly upon one another: turned by up to 5 degrees, moved and scaled a little.
    """
    a, b = a.astype(np.float32), b.astype(np.float32)
    found = _Map(np.eye(2), np.zeros(2))
    as_they_are = _count(a, b, found, _EXACT)
    if as_they_are.is_copy:
        return as_they_are
    for grid, largest_error in ((_COARSE, 0.08), (_FINE, 0.05), (_FINE, 0.03)):
        better = _improve(a, b, found, grid, largest_error)
        if better is None:
            return as_they_are
        found = better
    fitted = _count(found.show(a), b, found, _LAST)
    return max(fitted, as_they_are, key=lambda match: (match.is_copy, match.share))


def _improve(
    a: np.ndarray, b: np.ndarray, found: _Map, grid: _Grid, largest_error: float
) -> _Map | None:
    """The map after the blocks of `b` were followed in `a`; None where too few can be."""
    if grid.side != PICTURE_PX:
        a, b = _halved(a), _halved(b)
    here, there = _detail(b), _detail(found.show(a))
    correlations, shifts = grid.follow(here, there)
    rich = grid.contrast(here) > _FLAT
    weights = np.where(rich & (correlations > _MIN_TRACKED_CORRELATION), correlations**2, 0.0)
    followed = np.count_nonzero(weights)
    if followed < max(_FEWEST, _MIN_TRACKED_SHARE * np.count_nonzero(rich)):
        return None
    better = found.after(_fit(grid.centres, shifts, weights, largest_error))
    zoom = np.linalg.det(better.matrix)
    return better if 1 / _MAX_ZOOM < zoom < _MAX_ZOOM else None


def _fit(points: np.ndarray, shifts: np.ndarray, weights: np.ndarray, largest_error: float) -> _Map:
    """The affine map that most blocks agree on: least squares, weighted anew by Tukey's biweight.

    A weak pull towards no change keeps it sane where blocks with detail are few or in a line.
    """
    inputs = np.column_stack([points - 0.5, np.ones(len(points))])
    targets = points - 0.5 + shifts
    pull, unchanged = np.diag([0.3, 0.3, 0.01]), np.eye(3)[:, :2]
    current = weights
    for _ in range(_ROUNDS):
        weighted = inputs.T * current
        solution = np.linalg.solve(weighted @ inputs + pull, weighted @ targets + pull @ unchanged)
        errors = np.linalg.norm(inputs @ solution - targets, axis=1)
        current = weights * np.maximum(0.0, 1.0 - (errors / largest_error) ** 2) ** 2
    return _Map(solution[:2].T, solution[2])


def _count(shown: np.ndarray, b: np.ndarray, found: _Map, grid: _Grid) -> BlockMatch:
    """What agrees of `b` and the other picture, as `found` shows it."""
    here, there = _detail(b), _detail(shown)
    correlations, _ = grid.follow(here, there)
    ours, theirs = grid.contrast(here), grid.contrast(there)
    places = found.of(grid.centres)
    seen = ((places > _EDGE) & (places < 1 - _EDGE)).all(axis=1)
    rich = (np.maximum(ours, theirs) > _FLAT) & seen
    agree = rich & (correlations >= _MIN_BLOCK_CORRELATION)
    if not agree.any():
        return NO_BLOCK_MATCH
    gains = np.log(np.maximum(ours, _TINY) / np.maximum(theirs, _TINY))
    agree &= np.abs(gains - np.median(gains[agree])) < math.log(_SAME_GAIN)
    blocks = int(np.count_nonzero(agree))
    return BlockMatch(
        share=blocks / int(np.count_nonzero(rich)),
        clean=blocks / int(np.count_nonzero(rich & (correlations >= _SIMILAR))),
        blocks=blocks,
        overlap=_overlap(found),
        exact=found.is_exact,
    )


def _overlap(found: _Map) -> float:
    places = found.of(_POINTS)
    of_b = float(((places >= 0) & (places <= 1)).all(axis=1).mean())
    of_a = of_b * float(np.linalg.det(found.matrix))
    return min(1.0, max(of_a, of_b))


def _detail(picture: np.ndarray) -> np.ndarray:
    """What is neither noise nor shading, (s, s) float32."""
    from scipy.ndimage import gaussian_filter

    scale = len(picture) / PICTURE_PX
    fine = gaussian_filter(picture, _NOISE_PX * scale, mode="nearest", truncate=3)
    return fine - gaussian_filter(picture, _SHADING_PX * scale, mode="nearest", truncate=3)


def _halved(picture: np.ndarray) -> np.ndarray:
    half = len(picture) // 2
    return picture.reshape(half, 2, half, 2).mean(axis=(1, 3))
