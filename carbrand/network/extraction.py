"""Run the frozen network over every view of every photo, once: vectors are cached by photo."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from carbrand.network.inference.engines import Engine
from carbrand.network.vector_cache import VectorCache
from carbrand.parallel.batches import prefetch_map, usable_cores
from carbrand.photos.manifest import Row

Photo = TypeVar("Photo")
# Vectors (views, d) float32 and the grey thumbnail (s, s) uint8 of a photo.
Extracted = tuple[np.ndarray, ...]


def extract(
    photos: Sequence[Photo],
    views_of: Callable[[Photo], Sequence[np.ndarray] | np.ndarray],
    network: Engine,
) -> Iterator[np.ndarray]:
    """The vectors of each photo, (views, d) float32, in order, as soon as they are computed.

    views_of: from a photo to its views, one or more of (s, s, 3) uint8; called in threads, ahead of
    the network. network: has one output, (d,) per view.
    """
    counts: deque[int] = deque()

    def every_view() -> Iterator[np.ndarray]:
        for views in prefetch_map(views_of, photos, ahead=2 * usable_cores()):
            counts.append(len(views))
            yield from views

    outputs = (vector for (vector,) in network(every_view()))
    for first in outputs:
        yield np.stack([first, *islice(outputs, counts.popleft() - 1)])


def load_or_extract(
    rows: Sequence[Row],
    extract_missing: Callable[[Sequence[Row]], Iterator[Extracted]],
    cache: VectorCache,
) -> Iterator[Extracted]:
    """Those of the photos in their order, from the cache, or else extracted and stored there."""
    return cache.load_or_compute(
        [row.pixel_sha256 for row in rows],
        lambda places: extract_missing([rows[place] for place in places]),
    )
