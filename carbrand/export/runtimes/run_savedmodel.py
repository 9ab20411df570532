"""A SavedModel over photos, with TensorFlow and nothing else.

python run_savedmodel.py MODEL PHOTOS.npy PROBABILITIES.npy
"""

from __future__ import annotations

import sys


def main(model: str, photos: str, probabilities: str) -> None:
    """Photos (n, s, s, 3), 0…255, one by one; probabilities (n, brands) float32."""
    import numpy as np
    import tensorflow as tf

    serve = tf.saved_model.load(model).signatures["serving_default"]
    found = [
        serve(photos=tf.constant(photo[None], tf.float32))["probabilities"].numpy()
        for photo in np.load(photos, mmap_mode="r")
    ]
    np.save(probabilities, np.concatenate(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
