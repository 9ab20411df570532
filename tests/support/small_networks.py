"""Networks that are put together in a moment, and photos for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from carbrand.model.model_file import save_classifier
from carbrand.network.backbones import build_backbone, levels_of
from carbrand.network.keras_import import import_keras, import_keras_to_build
from carbrand.network.pooling import add_pooling
from carbrand.vectors.feature_store import Recipe
from tests.support.random_weights import randomise

SIZE_PX = 64


def draw(number: int, size_px: int = SIZE_PX) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)


def save_small_network(path: Path) -> Path:
    """A network of fixed random weights, with maps and a vector to ask for."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    photos = keras.Input((32, 32, 3), name="photos")
    scaled = keras.layers.Rescaling(1 / 128, offset=-1, name="scale")(photos)
    maps = keras.layers.Conv2D(24, 3, strides=2, activation="relu", name="z_conv")(scaled)
    wide = keras.layers.DepthwiseConv2D(3, padding="same", name="wide")(maps)
    vector = keras.layers.GlobalAveragePooling2D(name="a_pool")(wide)
    keras.Model(photos, vector, name="small").save(path)
    return path


def save_own_backbone(path: str) -> None:
    """A backbone of one's own with fixed random weights, built where TensorFlow is not needed.

    It has what those have that people use: maps of several sizes, batch norms, layers by channel.
    """
    keras = import_keras_to_build()
    layers = keras.layers
    photos = keras.Input((SIZE_PX, SIZE_PX, 3), name="photos")
    x = layers.Rescaling(1 / 128, offset=-1, name="scale")(photos)
    for stage, channels in enumerate((8, 16, 64, 192)):
        conv = layers.Conv2D(channels, 3, strides=2, padding="same", name=f"conv{stage}")
        x = layers.BatchNormalization(name=f"norm{stage}")(conv(x))
        x = layers.ReLU(6, name=f"relu{stage}")(x)
        wide = layers.DepthwiseConv2D(3, padding="same", name=f"wide{stage}")
        x = layers.Add(name=f"add{stage}")([x, wide(x)])
    model = keras.Model(photos, x, name="small")
    randomise(model)
    model.save(path)


# The later one first.
SMALL_OUTPUTS = ("a_pool", "z_conv")


def save_lite0(path: Path) -> Path:
    """Lite0 as `features` makes it by default; the output is the layer `pool`."""
    backbone = build_backbone("efficientnet_lite0", SIZE_PX, "imagenet")
    network, _ = add_pooling(backbone, "levels", levels_of(backbone))
    network.save(path)
    return path


# A model of three brands.
BRANDS = ["asta", "bolt", "cirro"]
MODEL_PX = 32
LEVELS = ("early",)


def make_small_backbone() -> Any:
    """Small, with fixed weights, in the shape of a real one."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    photos = keras.Input((MODEL_PX, MODEL_PX, 3), name="photos")
    x = keras.layers.Rescaling(1 / 128, -1, name="scale")(photos)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="early")(x)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    return keras.Model(photos, x, name="backbone")


def save_model(
    path: Path, backbone: Any, pooling: str = "avg_max", resize: str = "pad", **options: Any
) -> Path:
    """model.h5 of that backbone and a head of fixed random weights."""
    network, widths = add_pooling(backbone, pooling, LEVELS)
    kernel = np.random.default_rng(0).normal(0, 3, (sum(widths), 3)).astype(np.float32)
    recipe = Recipe(resize, MODEL_PX, tuple(widths))
    bias = np.array([0.5, 0.0, -0.5], np.float32)
    save_classifier(path, network, recipe, kernel, bias, BRANDS, **options)
    return path
