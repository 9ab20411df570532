"""Plain fine-tuning in Keras: a head on the frozen backbone first, then everything.

One recipe, fixed beforehand: AdamW with a warm-up and a cosine, batch norms frozen, dropout, label
smoothing, crops, mirror images, brightness and contrast. No photo is held out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

BATCH = 32
SEED = 0
HEAD_EPOCHS, HEAD_RATE = 50, 0.01
EPOCHS = 12
RATE, DECAY, WARM_UP = 3e-4, 1e-4, 0.1
SMOOTHING, DROPOUT = 0.1, 0.2


def train_and_predict(folder: Path, base: Any, out: Path, epochs: int) -> dict[str, str]:
    """The brand that the trained network says of each photo of `folder`/test, by `brand/file`.

    `base` takes photos (n, h, w, 3) in 0…255 and has its own scaling inside. Writes the model into
    `out`.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    layers = keras.layers
    size = base.input_shape[1:3]
    options: dict[str, Any] = {"image_size": size, "label_mode": "categorical"}
    read = keras.utils.image_dataset_from_directory
    plain = read(folder / "train", batch_size=BATCH, shuffle=False, **options)
    test = read(folder / "test", batch_size=BATCH, shuffle=False, **options)
    brands, paths, count = plain.class_names, test.file_paths, len(plain.file_paths)
    steps = [
        layers.RandomZoom((-0.3, 0.0), seed=SEED),
        layers.RandomTranslation(0.1, 0.1, seed=SEED),
        layers.RandomFlip("horizontal", seed=SEED),
        layers.RandomBrightness(0.1, seed=SEED),
        layers.RandomContrast(0.2, seed=SEED),
    ]

    def augment(photos: Any, labels: Any) -> Any:
        for step in steps:
            photos = step(photos, training=True)
        return photos, labels

    pooled = layers.GlobalAveragePooling2D()(base.output)
    network = keras.Model(base.input, pooled)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
    head = layers.Dense(len(brands))
    vectors = network.predict(plain, verbose=0)
    targets = tf.concat([labels for _, labels in plain], axis=0)
    top = keras.Sequential([head])
    top.compile(keras.optimizers.Adam(HEAD_RATE), loss)
    top.fit(vectors, targets, batch_size=BATCH, epochs=HEAD_EPOCHS, verbose=0)

    base.trainable = True
    for layer in base.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    model = keras.Model(network.input, head(layers.Dropout(DROPOUT, seed=SEED)(pooled)))
    total = epochs * -(-count // BATCH)
    warm = max(1, round(WARM_UP * total))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, total - warm, warmup_target=RATE, warmup_steps=warm
    )
    model.compile(keras.optimizers.AdamW(rate, weight_decay=DECAY), loss)
    shuffled = plain.cache().unbatch().shuffle(count, seed=SEED).batch(BATCH)
    train = shuffled.map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    model.fit(train, epochs=epochs, verbose=0)
    model.save(out / "model.h5")
    labels = model.predict(test, verbose=0).argmax(axis=1)
    return {
        Path(path).relative_to(folder / "test").as_posix(): brands[label]
        for path, label in zip(paths, labels, strict=True)
    }
