"""Run the frozen backbone once over every view of every photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from carbrand.batches import BATCH_SIZE, in_batches, map_ahead
from carbrand.pooling import add_pooling
from carbrand.progress import track
from carbrand.quiet_keras import import_keras

Photo = TypeVar("Photo")


def extract(
    photos: Sequence[Photo],
    views_of: Callable[[Photo], np.ndarray],
    views: int,
    backbone: Any,
    pooling: str,
) -> np.ndarray:
    """The vectors of all photos, (photos, views, d) float32.

    `views_of` gives a photo's views, (views, size, size, 3) uint8; it is called in threads, ahead
    of the network.
    """
    keras = import_keras()
    network = keras.Model(backbone.inputs, add_pooling(backbone, pooling))
    vectors = np.empty((len(photos) * views, network.output_shape[-1]), np.float32)
    read = map_ahead(views_of, photos, ahead=max(2, 2 * BATCH_SIZE // views))
    every_view = (view for photo_views in read for view in photo_views)
    start = 0
    batches = in_batches(every_view, BATCH_SIZE)
    total = -(-len(vectors) // BATCH_SIZE)
    for batch, count in track(batches, "Extracting features", total):
        vectors[start : start + count] = network.predict_on_batch(batch)[:count]
        start += count
    return vectors.reshape(len(photos), views, -1)
