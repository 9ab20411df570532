"""Run the frozen network once over every view of every photo."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from carbrand.network.engines import Engine
from carbrand.parallel.batches import map_ahead, usable_cores

Photo = TypeVar("Photo")


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
        for views in map_ahead(views_of, photos, ahead=2 * usable_cores()):
            counts.append(len(views))
            yield from views

    outputs = (vector for (vector,) in network(every_view()))
    for first in outputs:
        yield np.stack([first, *islice(outputs, counts.popleft() - 1)])
