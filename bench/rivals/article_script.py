"""The script of the article: photos through the whole network in every epoch, one layer trained.

What is odd about it belongs to it: test photos are its validation photos, and photos are divided by
255 whatever the network was trained on. One thing is not kept: it predicts in a shuffled order, so
its answers belong to no photo; here they are in the order of the files, which takes as long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZE_PX = 224
BATCH = 32
SEED = 0


def build_resnet50(weights: str | None) -> Any:
    """The article's frozen network; `weights` is a .h5 of Keras without top, None for random."""
    import keras

    shape = (SIZE_PX, SIZE_PX, 3)
    return keras.applications.ResNet50(include_top=False, weights=weights, input_shape=shape)


def train_and_predict(
    folder: Path, base: Any, out: Path, epochs: int, *, divide: bool = True
) -> dict[str, str]:
    """The brand that the trained network says of each photo of `folder`/test, by `brand/file`.

    `base` takes photos (n, SIZE_PX, SIZE_PX, 3), in 0…1 if `divide`, else 0…255. Writes the model
    and two figures into `out`.
    """
    import keras
    import numpy as np
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    keras.utils.set_random_seed(SEED)
    scale = 1 / 255 if divide else None
    augmented = ImageDataGenerator(
        rescale=scale, shear_range=0.2, zoom_range=0.2, horizontal_flip=True
    )
    size = base.input_shape[1:3]
    train = augmented.flow_from_directory(
        folder / "train", size, batch_size=BATCH, class_mode="categorical", seed=SEED
    )
    test = ImageDataGenerator(rescale=scale).flow_from_directory(
        folder / "test", size, batch_size=BATCH, class_mode="categorical", shuffle=False
    )
    brands = sorted(train.class_indices, key=train.class_indices.__getitem__)
    for layer in base.layers:
        layer.trainable = False
    flat = keras.layers.Flatten()(base.output)
    model = keras.Model(base.input, keras.layers.Dense(len(brands), activation="softmax")(flat))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train, validation_data=test, epochs=epochs, verbose=0).history
    for name in ("loss", "accuracy"):
        draw_curves(history, name, out / f"{name}.png")
    model.save(out / "model.h5")
    labels = np.argmax(model.predict(test, verbose=0), axis=1)
    return {
        Path(name).as_posix(): brands[label]
        for name, label in zip(test.filenames, labels, strict=True)
    }


def draw_curves(history: dict[str, list[float]], name: str, path: Path) -> None:
    """A figure of `name` over the epochs, of training and of validation photos."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.figure()
    plt.plot(history[name], label=f"train {name}")
    plt.plot(history[f"val_{name}"], label=f"val {name}")
    plt.legend()
    plt.savefig(path)
    plt.close()
