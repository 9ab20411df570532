"""Block matching: whether two small grey images show one photo, although parts are covered.

The images are aligned, and blocks whose details correlate are counted. Blocks under a caption, a
logo or a sticker do not match, all others do. Photos of two things of one kind match in a few
blocks; two shots of one scene in many, but not exactly: a hand moves, and near objects move farther
than distant ones (parallax). So copies must match as they are or rotated about the centre; a match
by a robust affine transform is only suspicious (LOG.md has the figures).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

PICTURE_PX = 64
# A block matches if its details correlate at least so well, and if its gain (ratio of contrasts) is
# that of the other matching blocks up to this factor: the same car in another colour has the same
# edges.
_MIN_BLOCK_CORRELATION = 0.9
_SAME_GAIN = 1.3
# Share of blocks that match: of copies at least 0.6 (nine of ten 0.66); of different photos, even
# of one drawn car in two colours or of one emblem, at most 0.58.
_MIN_SHARE = 0.6
# Share of similar blocks that match: of copies 0.83; of second shots with 0.6 above, at most 0.74.
_SIMILAR = 0.5
_MIN_CLEAN = 0.77
# Minimum share for a suspicion.
_MIN_SUSPICIOUS_SHARE = 0.5
_MIN_MATCHING_BLOCKS = 8
# A copy shows all of the photo, except for corners cut off by a rotation.
_MIN_OVERLAP = 0.93
# Maximum displacement of a copy, as a share of the side. Hands move by at least 0.006.
_MAX_DISPLACEMENT = 0.008
# A rotation about the centre: maximum shift of the centre (share of the side), minimum sine.
_MAX_CENTRE_SHIFT = 0.012
_MIN_ROTATION = 0.01
# Grey levels (0…255). Blocks with less contrast are ignored.
_FLAT = 2.5
# Sigmas of a difference of Gaussians: finer structure is compression noise, coarser is shading.
_NOISE_PX, _SHADING_PX = 0.7, 3.0
# A block is tracked if it correlates at least so well; minimum number of blocks to fit a transform.
_MIN_TRACKED_CORRELATION = 0.5
_FEWEST = 6
# Minimum share of blocks with detail that can be tracked.
_MIN_TRACKED_SHARE = 0.3
# Limit on the change of areas by a transform.
_MAX_ZOOM = 2.5
# Blocks closer to the edge (share of the side) have no complete counterpart.
_EDGE = 0.03
_ROUNDS = 6
_TINY = 1e-3


@dataclass(frozen=True)
class BlockMatch:
    """How well two images match.

    share: matching blocks / blocks with detail in the overlap, 0…1.
    clean: matching blocks / similar blocks, 0…1.
    blocks: number of matching blocks.
    overlap: the larger of the shares of each image that the other shows, 0…1.
    exact: whether they match as they are, or rotated about the centre.
    """

    share: float
    clean: float
    blocks: int
    overlap: float
    exact: bool

    @property
    def is_copy(self) -> bool:
        """Whether one is surely a copy of the other."""
        enough = self.share >= _MIN_SHARE and self.clean >= _MIN_CLEAN
        return self.exact and enough and self.overlap >= _MIN_OVERLAP and self.is_suspicious

    @property
    def is_suspicious(self) -> bool:
        """Whether a person should compare them: copies, other parts or shots of one scene."""
        return self.share >= _MIN_SUSPICIOUS_SHARE and self.blocks >= _MIN_MATCHING_BLOCKS


NO_BLOCK_MATCH = BlockMatch(0.0, 0.0, 0, 0.0, exact=False)


class _BlockGrid:
    """A grid of blocks of a square image, and the windows in which each is searched.

    side: of the image. size: of a block. step: between blocks. reach: search distance in each
    direction. All in pixels.
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
        self.windows = _flat_places(  # (blocks, shifts, size²), in the padded image
            (tops[:, None] + down).ravel(),
            (lefts[:, None] + right).ravel(),
            inside,
            side + 2 * reach,
        ).reshape(len(tops), len(down), -1)
        self.centres = (np.stack([tops, lefts], axis=1) + size / 2) / side  # (blocks, 2)

    def contrast(self, detail: np.ndarray) -> np.ndarray:
        """(blocks,): the standard deviation of each block."""
        return detail.ravel()[self.places].std(axis=1)

    def track(self, detail: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(blocks,): the best correlation of each block within its reach in the other image;
        (blocks, 2): its displacement there, in shares of the side.
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


_COARSE = _BlockGrid(PICTURE_PX // 2, 8, 4, reach=3)
_FINE = _BlockGrid(PICTURE_PX, 12, 8, reach=2)
_LAST = _BlockGrid(PICTURE_PX, 8, 8, reach=1)
_NO_SEARCH = _BlockGrid(PICTURE_PX, 8, 8, reach=0)
_CORNERS = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
# Pixel centres of a whole image.
_POINTS = np.stack(np.meshgrid(*[(np.arange(PICTURE_PX) + 0.5) / PICTURE_PX] * 2), 2).reshape(-1, 2)


@dataclass(frozen=True)
class _AffineTransform:
    """An affine transform of points from one image to the other, in shares of the side."""

    matrix: np.ndarray  # (2, 2)
    shift: np.ndarray  # (2,)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Transform points (n, 2)."""
        return (points - 0.5) @ self.matrix.T + 0.5 + self.shift

    def after(self, other: _AffineTransform) -> _AffineTransform:
        """The composition: first `other`, then this one."""
        return _AffineTransform(self.matrix @ other.matrix, self.matrix @ other.shift + self.shift)

    @property
    def is_exact(self) -> bool:
        """Whether it is nearly the identity, or a rotation about the centre (perhaps scaled)."""
        if np.abs(self.apply(_CORNERS) - _CORNERS).max() <= _MAX_DISPLACEMENT:
            return True
        right, down = self.matrix[0, 1], self.matrix[1, 0]
        rotated = right * down < 0 and math.sqrt(-right * down) >= _MIN_ROTATION
        return bool(rotated and np.abs(self.shift).max() <= _MAX_CENTRE_SHIFT)

    def warp(self, picture: np.ndarray) -> np.ndarray:
        """Warp an image (s, s) float32 onto the other one."""
        from scipy.ndimage import affine_transform

        side = len(picture)
        corner = self.apply(np.full((1, 2), 0.5 / side))[0] * side - 0.5
        return affine_transform(
            picture, self.matrix, corner, order=1, mode="nearest", output=np.float32
        )


def match_blocks(a: np.ndarray, b: np.ndarray) -> BlockMatch:
    """Align `a` with `b` and match them, both (PICTURE_PX, PICTURE_PX) grey levels.

    They must be nearly aligned: rotated by up to 5 degrees, shifted and scaled a little.
    """
    a, b = a.astype(np.float32), b.astype(np.float32)
    found = _AffineTransform(np.eye(2), np.zeros(2))
    as_they_are = _count_matches(a, b, found, _NO_SEARCH)
    if as_they_are.is_copy:
        return as_they_are
    for grid, largest_error in ((_COARSE, 0.08), (_FINE, 0.05), (_FINE, 0.03)):
        better = _improve(a, b, found, grid, largest_error)
        if better is None:
            return as_they_are
        found = better
    fitted = _count_matches(found.warp(a), b, found, _LAST)
    return max(fitted, as_they_are, key=lambda match: (match.is_copy, match.share))


def _improve(
    a: np.ndarray, b: np.ndarray, found: _AffineTransform, grid: _BlockGrid, largest_error: float
) -> _AffineTransform | None:
    """Refine the transform by tracking the blocks of `b` in `a`; None if too few are found."""
    if grid.side != PICTURE_PX:
        a, b = _halved(a), _halved(b)
    here, there = _detail(b), _detail(found.warp(a))
    correlations, shifts = grid.track(here, there)
    rich = grid.contrast(here) > _FLAT
    weights = np.where(rich & (correlations > _MIN_TRACKED_CORRELATION), correlations**2, 0.0)
    tracked = np.count_nonzero(weights)
    if tracked < max(_FEWEST, _MIN_TRACKED_SHARE * np.count_nonzero(rich)):
        return None
    better = found.after(_fit(grid.centres, shifts, weights, largest_error))
    zoom = np.linalg.det(better.matrix)
    return better if 1 / _MAX_ZOOM < zoom < _MAX_ZOOM else None


def _fit(
    points: np.ndarray, shifts: np.ndarray, weights: np.ndarray, largest_error: float
) -> _AffineTransform:
    """Fit an affine transform: iteratively reweighted least squares with Tukey's biweight.

    A weak penalty on deviations from the identity keeps it stable if blocks are few or in a line.
    """
    inputs = np.column_stack([points - 0.5, np.ones(len(points))])
    targets = points - 0.5 + shifts
    penalty, identity = np.diag([0.3, 0.3, 0.01]), np.eye(3)[:, :2]
    current = weights
    for _ in range(_ROUNDS):
        weighted = inputs.T * current
        solution = np.linalg.solve(
            weighted @ inputs + penalty, weighted @ targets + penalty @ identity
        )
        errors = np.linalg.norm(inputs @ solution - targets, axis=1)
        current = weights * np.maximum(0.0, 1.0 - (errors / largest_error) ** 2) ** 2
    return _AffineTransform(solution[:2].T, solution[2])


def _count_matches(
    shown: np.ndarray, b: np.ndarray, found: _AffineTransform, grid: _BlockGrid
) -> BlockMatch:
    """Count the matching blocks of `b` and the other image, warped by `found`."""
    here, there = _detail(b), _detail(shown)
    correlations, _ = grid.track(here, there)
    ours, theirs = grid.contrast(here), grid.contrast(there)
    places = found.apply(grid.centres)
    seen = ((places > _EDGE) & (places < 1 - _EDGE)).all(axis=1)
    rich = (np.maximum(ours, theirs) > _FLAT) & seen
    matching = rich & (correlations >= _MIN_BLOCK_CORRELATION)
    if not matching.any():
        return NO_BLOCK_MATCH
    gains = np.log(np.maximum(ours, _TINY) / np.maximum(theirs, _TINY))
    matching &= np.abs(gains - np.median(gains[matching])) < math.log(_SAME_GAIN)
    blocks = int(np.count_nonzero(matching))
    return BlockMatch(
        share=blocks / int(np.count_nonzero(rich)),
        clean=blocks / int(np.count_nonzero(rich & (correlations >= _SIMILAR))),
        blocks=blocks,
        overlap=_overlap(found),
        exact=found.is_exact,
    )


def _overlap(found: _AffineTransform) -> float:
    places = found.apply(_POINTS)
    of_b = float(((places >= 0) & (places <= 1)).all(axis=1).mean())
    of_a = of_b * float(np.linalg.det(found.matrix))
    return min(1.0, max(of_a, of_b))


def _detail(picture: np.ndarray) -> np.ndarray:
    """The image without noise and shading (a difference of Gaussians), (s, s) float32."""
    from scipy.ndimage import gaussian_filter

    scale = len(picture) / PICTURE_PX
    fine = gaussian_filter(picture, _NOISE_PX * scale, mode="nearest", truncate=3)
    return fine - gaussian_filter(picture, _SHADING_PX * scale, mode="nearest", truncate=3)


def _halved(picture: np.ndarray) -> np.ndarray:
    half = len(picture) // 2
    return picture.reshape(half, 2, half, 2).mean(axis=(1, 3))
