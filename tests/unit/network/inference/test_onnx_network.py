"""A network written as ONNX answers as Keras does, whatever layers it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carbrand.export.runtimes import run_onnx
from carbrand.export.runtimes.targets import write_onnx
from carbrand.network.keras_import import import_keras
from carbrand.network.weights.network_file import NetworkFile, NotANetwork, read_network

pytestmark = pytest.mark.usefixtures("on_tensorflow")

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

BRANDS = ["asta", "bolt", "cirro"]


def small(size_px: int, padding: str) -> Any:
    """Every kind of layer that a network of ours may have, with weights that are not nothing."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    photos = keras.Input((size_px, size_px, 3), name="photos")  # as the file's input is named
    x = layers.Rescaling(1 / 128, offset=[-1.0, -0.9, -0.8], name="scale")(photos)
    x = layers.ZeroPadding2D(((1, 2), (0, 3)), name="pad")(x)
    x = layers.Conv2D(16, 3, strides=2, padding=padding, name="conv", bias_initializer="normal")(x)
    x = layers.BatchNormalization(
        name="bn", beta_initializer="normal", moving_mean_initializer="normal"
    )(x)
    x = wide = layers.ReLU(max_value=6, name="relu6")(x)
    x = layers.DepthwiseConv2D(5, padding="same", dilation_rate=2, name="depthwise")(x)
    x = layers.Activation("relu", name="relu")(x)
    x = layers.Add(name="add")([wide, x])
    x = layers.Conv2D(16, 2, padding=padding, activation="relu", name="conv_relu")(x)
    x = layers.ReLU(name="plain_relu")(x)
    x = layers.MaxPooling2D(3, strides=2, padding=padding, name="max_pool")(x)
    pools = [
        layers.GlobalAveragePooling2D(name="pool_avg")(x),
        layers.GlobalMaxPooling2D(name="pool_max")(x),
    ]
    x = layers.Concatenate(name="pool")(pools)
    # Named as the file's output is.
    x = layers.Dense(3, activation="softmax", name="probabilities")(x)
    return keras.Model(photos, x, name="small")


def saved(model: Any, folder: Path) -> NetworkFile:
    model.save(folder / "model.h5")
    return read_network(folder / "model.h5")


def answers(file: Path, photos: np.ndarray) -> np.ndarray:
    np.save(file.parent / "photos.npy", photos)
    run_onnx.main(str(file), str(file.parent / "photos.npy"), str(file.parent / "answers.npy"))
    return np.load(file.parent / "answers.npy")


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size_px", [32, 37])
def test_every_layer_gives_what_it_gives_in_keras(size_px, padding, tmp_path):
    model = small(size_px, padding)
    write_onnx(saved(model, tmp_path), tmp_path / "model.onnx", {})
    photos = np.random.default_rng(0).integers(0, 256, (3, size_px, size_px, 3), dtype=np.uint8)
    expected = model.predict_on_batch(photos.astype(np.float32))
    assert np.ptp(expected, axis=0).max() > 0.01  # photos that the network tells apart
    np.testing.assert_allclose(answers(tmp_path / "model.onnx", photos), expected, atol=1e-5)


def test_many_photos_at_once_are_answered_like_one_by_one(tmp_path):
    import onnxruntime

    write_onnx(saved(small(32, "same"), tmp_path), tmp_path / "model.onnx", {})
    photos = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (together,) = session.run(None, {"photos": photos})
    np.testing.assert_allclose(together, answers(tmp_path / "model.onnx", photos), atol=1e-6)


def test_labels_are_inside_and_the_bytes_repeat(tmp_path):
    import onnx

    network = saved(small(32, "same"), tmp_path)
    for name in ("a.onnx", "b.onnx"):
        write_onnx(network, tmp_path / name, {"labels": BRANDS, "range": [0, 255]})
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    model = onnx.load(tmp_path / "a.onnx")
    inside = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    assert inside == {"labels": BRANDS, "range": [0, 255]}
    assert model.opset_import[0].version >= 17


def test_a_layer_that_is_not_known_is_refused_by_name(tmp_path):
    keras = import_keras()
    photos = keras.Input((32, 32, 3))
    x = keras.layers.Activation("mish", name="odd")(photos)
    x = keras.layers.GlobalAveragePooling2D()(x)
    network = saved(keras.Model(photos, keras.layers.Dense(3)(x)), tmp_path)
    with pytest.raises(NotANetwork, match=r"odd: the activation mish is not known"):
        write_onnx(network, tmp_path / "model.onnx", {})
    assert not (tmp_path / "model.onnx").exists()
