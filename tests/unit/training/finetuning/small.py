"""A network of a few layers and photos in three colours, on which a fine-tuning takes seconds."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from carbrand.network.keras_import import import_keras
from carbrand.training.finetuning.fit import Photos
from carbrand.training.finetuning.photo_batches import PhotoCache
from carbrand.training.finetuning.run_file import RunFile
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.finetuning.tune import TunedModel, Watch, tune
from carbrand.training.held_out_file import HeldOut
from tests.conftest import PAINTS, draw_photo

SIZE_PX = 32
PARAMS = FinetuneParams(
    epochs=3,
    min_steps=0,
    min_photos=0,
    size_px=SIZE_PX,
    predict_px=40,
    frozen_share=0.0,
    batch_norm="frozen",
    batch_size=8,
    learning_rate=0.003,
    warmup=0.1,
    layer_decay=1.0,
    weight_decay=0.0001,
    label_smoothing=0.1,
    class_weight="none",
    dropout=0.2,
    ema=0.0,
    crop=0.8,
    flip=True,
    brightness=0.1,
    contrast=0.2,
    compare_photos=7,
    ship="better",
    seed=0,
    threads=2,
    precision="float32",
    tensorboard=False,
)


def make_network(size_px: int = SIZE_PX) -> Any:
    """From photos (n, s, s, 3) to vectors (n, 24), of two kinds."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    photos = keras.Input((size_px, size_px, 3), name="photos")
    x = layers.Rescaling(1 / 128, offset=-1.0, name="scale")(photos)
    x = layers.Conv2D(12, 3, strides=4, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    average = layers.GlobalAveragePooling2D(name="pool_avg")(x)
    maximum = layers.GlobalMaxPooling2D(name="pool_max")(x)
    vector = layers.Concatenate(name="pool")([average, maximum])
    return keras.Model(photos, vector, name="small")


def draw_photos(count: int = 18, mixed: bool = False) -> tuple[Photos, HeldOut]:
    """Photos in turns of three colours, and folds with a frozen model that knows nothing.

    mixed: labels have nothing to do with colours.
    """
    paints = list(PAINTS.values())
    drawn = [
        np.asarray(draw_photo(paints[number % 3], number, (SIZE_PX, SIZE_PX)))
        for number in range(count)
    ]
    labels = np.arange(count) % 3
    if mixed:
        labels = np.random.default_rng(0).permutation(labels)
    cache = PhotoCache(lambda number: drawn[number])
    names = [str(number) for number in range(count)]
    folds = np.arange(count) // 3 % 3
    frozen = HeldOut(
        names,
        [list(PAINTS)[label] for label in labels],
        names,
        folds,
        np.zeros((count, 3), np.float32),
    )
    enlarged = PhotoCache(
        lambda number: np.asarray(Image.fromarray(drawn[number]).resize((40, 40)))
    )
    return Photos(cache, cache, enlarged, labels, np.ones(count, np.float32)), frozen


def run(
    folder: Path,
    params: FinetuneParams = PARAMS,
    data: tuple[Photos, HeldOut] | None = None,
    on_epoch: Callable[[str, int], None] = lambda _run, _epoch: None,
    network: Any = None,
) -> TunedModel:
    """Tune the small network, or another one, on the drawn photos; `folder` keeps its state."""
    photos, frozen = data or draw_photos()

    @contextlib.contextmanager
    def progress(name: str):
        yield lambda epoch, _metrics: on_epoch(name, epoch)

    watch = Watch(lambda name: RunFile(folder, "0" * 64, name), lambda _name: [], progress)
    tuned = network or make_network()
    return tune(import_keras(), tuned, 3, frozen, photos, params, watch)


def losses_of_two_epochs() -> list[float]:
    """On the devices that there are."""
    params = dataclasses.replace(PARAMS, epochs=2, dropout=0.0, compare_photos=1)
    with tempfile.TemporaryDirectory() as folder:
        return [epoch.loss for epoch in run(Path(folder), params).history]
