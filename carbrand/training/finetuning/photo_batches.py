"""The photos of fine-tuning as a `tf.data` pipeline: decoded in threads, augmented in the graph.

Every random draw is a function of the seed, the epoch and the step, so a training that was killed
goes on with the same batches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from carbrand.parallel.batches import usable_cores
from carbrand.training.finetuning.augmentation import augment
from carbrand.training.finetuning.settings import FinetuneParams

# Decoded photos that are kept in memory; those beyond are decoded in every epoch.
CACHE_BYTES = 2_000_000_000


class PhotoCache:
    """Decoded photos, (side, side, 3) uint8, as many as fit into memory.

    decode: from the number of a photo to its pixels.
    """

    def __init__(self, decode: Callable[[int], np.ndarray], max_bytes: int = CACHE_BYTES) -> None:
        self._decode = decode
        self._left = max_bytes
        self._kept: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(usable_cores())

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """The pixels of these photos, (b, side, side, 3) uint8."""
        return np.stack(list(self._pool.map(self._read_one, map(int, numbers))))

    def _read_one(self, number: int) -> np.ndarray:
        pixels = self._kept.get(number)
        if pixels is None:
            pixels = self._decode(number)
            with self._lock:
                if pixels.nbytes <= self._left and number not in self._kept:
                    self._kept[number] = pixels
                    self._left -= pixels.nbytes
        return pixels


def training_batches(
    photos: PhotoCache,
    rows: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    params: FinetuneParams,
    first_epoch: int = 0,
) -> Any:
    """A tf.data.Dataset of (photos, targets, weights), from `first_epoch` to the last one.

    rows: the numbers of the photos to learn from. targets (n, brands) float32 and weights (n,)
    float32: of all photos. Photos are (b, size_px, size_px, 3) float32 in 0…255, augmented. Each
    epoch has every photo once; its last batch may be smaller.
    """
    import tensorflow as tf

    learned = tf.constant(rows, tf.int64)
    steps = params.steps(len(rows))

    @_as_it_is
    def of_epoch(epoch: Any) -> Any:
        seed = tf.stack([tf.constant(params.seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(learned, seed=seed)
        return tf.data.Dataset.from_tensor_slices(order).batch(params.batch_size)

    @_as_it_is
    def load(step: Any, numbers: Any) -> Any:
        seed = tf.stack([tf.constant(params.seed, tf.int64), step])
        pixels = tf.numpy_function(photos.read, [numbers], tf.uint8)
        pixels.set_shape((None, None, None, 3))
        return (
            augment(pixels, seed, params),
            tf.gather(targets, numbers),
            tf.gather(weights, numbers),
        )

    return (
        tf.data.Dataset.range(first_epoch, params.epochs)
        .flat_map(of_epoch)
        .enumerate(first_epoch * steps)
        .map(load, num_parallel_calls=2, deterministic=True)
        .prefetch(2)
    )


def held_out_batches(
    photos: PhotoCache, rows: np.ndarray, targets: np.ndarray, batch_size: int
) -> Any:
    """A tf.data.Dataset of (photos, targets): unchanged photos, in the order of `rows`."""
    import tensorflow as tf

    @_as_it_is
    def load(numbers: Any) -> Any:
        pixels = tf.numpy_function(photos.read, [numbers], tf.uint8)
        pixels.set_shape((None, None, None, 3))
        return tf.cast(pixels, tf.float32), tf.gather(targets, numbers)

    numbers = tf.data.Dataset.from_tensor_slices(tf.constant(rows, tf.int64))
    return numbers.batch(batch_size).map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which AutoGraph need not rewrite: a full /tmp would cost a warning for each."""
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)
