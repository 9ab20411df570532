"""The way of Keras's guide to transfer learning: train a new top, then fine-tune the whole.

https://keras.io/guides/transfer_learning. All training photos are trained on, so what it watches
while it trains are the test photos, as in the article.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

BATCH = 32
SEED = 0
# So many epochs for the new top, then so many for everything.
TOP_EPOCHS, FINE_EPOCHS = 20, 10
FINE_RATE = 1e-5


def train_and_predict(
    folder: Path, base: Any, out: Path, top_epochs: int, fine_epochs: int
) -> dict[str, str]:
    """The brand that the trained network says of each photo of `folder`/test, by `brand/file`.

    `base` takes photos (n, h, w, 3) in 0…255 and has its own scaling inside. Writes the model into
    `out`.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    layers = keras.layers
    size = base.input_shape[1:3]
    read = keras.utils.image_dataset_from_directory
    shuffled = read(folder / "train", image_size=size, batch_size=BATCH, seed=SEED)
    test = read(folder / "test", image_size=size, batch_size=BATCH, shuffle=False)
    brands, paths = shuffled.class_names, test.file_paths
    steps = [
        layers.RandomFlip("horizontal", seed=SEED),
        layers.RandomRotation(0.1, seed=SEED),
    ]

    def augment(photos: Any, labels: Any) -> Any:
        for step in steps:
            photos = step(photos, training=True)
        return photos, labels

    train = shuffled.map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    test = test.prefetch(tf.data.AUTOTUNE)

    base.trainable = False
    photos = keras.Input(base.input_shape[1:])
    # In inference mode for good: the statistics of BatchNorm stay when the base is unfrozen.
    maps = base(photos, training=False)
    top = layers.Dropout(0.2, seed=SEED)(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(photos, layers.Dense(len(brands))(top))

    def fit(optimizer: Any, epochs: int) -> None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        model.fit(train, validation_data=test, epochs=epochs, verbose=0)

    fit(keras.optimizers.Adam(), top_epochs)
    base.trainable = True
    fit(keras.optimizers.Adam(FINE_RATE), fine_epochs)
    model.save(out / "model.h5")
    labels = model.predict(test, verbose=0).argmax(axis=1)
    return {
        Path(path).relative_to(folder / "test").as_posix(): brands[label]
        for path, label in zip(paths, labels, strict=True)
    }
