"""Random changes of training photos, in TensorFlow's graph: crop, mirror, brightness, contrast."""

from __future__ import annotations

from typing import Any

from carbrand.training.finetuning.settings import FinetuneParams

# Pixels of a decoded photo, per side, in multiples of what the network sees: a crop is then not
# magnified as much.
SOURCE_SCALE = 1.15


def source_size(params: FinetuneParams) -> int:
    """The side in pixels at which training photos are decoded, before they are cropped."""
    return round(params.size_px * (SOURCE_SCALE if params.crop < 1 else 1.0))


def augment(photos: Any, seed: Any, params: FinetuneParams) -> Any:
    """Photos (b, s, s, 3) in 0…255 as (b, size_px, size_px, 3) float32 in 0…255.

    seed: (2,) int64; the same seed draws the same changes. A crop keeps the same share, drawn from
    [crop, 1], of width and height.
    """
    import tensorflow as tf

    def draw(low: float, high: float, number: int, columns: int = 1) -> Any:
        shape = tf.stack([tf.shape(photos)[0], columns])
        key = seed + tf.constant([0, number << 32], tf.int64)
        return tf.random.stateless_uniform(shape, key, low, high)

    share = draw(params.crop, 1.0, 1)
    corner = draw(0.0, 1.0, 2, columns=2) * (1.0 - share)
    boxes = tf.concat([corner, corner + share], axis=1)
    size = (params.size_px, params.size_px)
    which = tf.range(tf.shape(photos)[0])
    changed = tf.image.crop_and_resize(tf.cast(photos, tf.float32), boxes, which, size)
    if params.flip:
        mirror = draw(0.0, 1.0, 3)[:, :, None, None] < 0.5
        changed = tf.where(mirror, changed[:, :, ::-1], changed)
    if params.contrast:
        mean = tf.reduce_mean(changed, axis=(1, 2, 3), keepdims=True)
        by = draw(1.0 - params.contrast, 1.0 + params.contrast, 4)[:, :, None, None]
        changed = mean + (changed - mean) * by
    if params.brightness:
        by = draw(-params.brightness, params.brightness, 5)[:, :, None, None]
        changed += 255.0 * by
    return tf.clip_by_value(changed, 0.0, 255.0)
