"""EfficientNet-Lite sees what it should: a Lamborghini is a sports car."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from carbrand.network.architecture import efficientnet_lite
from carbrand.network.architecture.efficientnet_lite import Scaling
from carbrand.network.architecture.rebuild import assign
from carbrand.network.backbones import BACKBONES
from carbrand.network.keras_import import import_keras, import_keras_to_build
from carbrand.network.weights import lite_weights
from carbrand.photos.photo import read_photo
from tests.conftest import ARTICLE_PHOTOS
from tests.support.running import THOROUGH

pytestmark = pytest.mark.usefixtures("on_tensorflow")

SPORTS_CAR = 817
# Blocks, feature map, and parameters: those of the file less the classifier's 1,281,000 and one
# counter for every batch norm.
LITE = {
    "efficientnet_lite0": (16, (7, 7, 1280), 4_694_073 - 1_281_000 - 49),
    "efficientnet_lite1": (21, (8, 8, 1280), 5_470_408 - 1_281_000 - 64),
    "efficientnet_lite2": (21, (9, 9, 1280), 6_150_232 - 1_281_000 - 64),
}


@pytest.fixture(scope="module", params=LITE)
def classifier(request: pytest.FixtureRequest) -> Any:
    """The network with the ImageNet classifier of its file: photos to logits (n, 1000)."""
    name, keras = request.param, import_keras_to_build()
    model = efficientnet_lite.build(keras, name, BACKBONES[name], lite_weights.LITE[name].scaling)
    state = lite_weights.read_lite_state(name, model)
    assign(model, efficientnet_lite.arrays_by_layer(model, state))
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(model.output)
    dense = keras.layers.Dense(1000, name="logits")
    whole = keras.Model(model.input, dense(pooled), name=f"{name}_classifier")
    dense.set_weights([state["_fc.weight"].T, state["_fc.bias"]])
    whole.trainable = False
    return whole


def test_a_lamborghini_comes_out_as_a_sports_car(classifier: Any) -> None:
    folder = ARTICLE_PHOTOS / "train" / "lamborghini"
    if not folder.is_dir():
        pytest.skip(f"the article's photos are not at {folder}: they never enter the repository")
    size_px = classifier.input_shape[1]
    paths = sorted(folder.iterdir())
    assert len(paths) == 19
    few = not THOROUGH and "lite0" not in classifier.name
    chosen = paths[::4] if few else paths
    photos = np.stack([read_photo(path, size_px, "stretch") for path in chosen])
    classes = np.asarray(classifier(photos, training=False)).argmax(axis=1)
    # Lite0 17, Lite1 18, Lite2 19 of 19, when this was written.
    assert (classes == SPORTS_CAR).sum() >= (5 if few else 17)


def test_the_network_has_every_parameter_of_the_file(classifier: Any) -> None:
    name = classifier.name.removesuffix("_classifier")
    blocks, feature_map, parameters = LITE[name]
    assert {layer.name[:7] for layer in classifier.layers if layer.name.startswith("block")} == {
        f"block{number:02d}" for number in range(blocks)
    }
    assert classifier.get_layer("head_relu").output.shape[1:] == feature_map
    assert classifier.count_params() == parameters + 1_281_000


def test_the_classifier_reads_the_mean_of_the_feature_map(classifier: Any) -> None:
    size_px = classifier.input_shape[1]
    photo = np.random.default_rng(0).integers(0, 256, (1, size_px, size_px, 3)).astype("f4")
    pixels = (photo - 127) / 128
    np.testing.assert_allclose(classifier.get_layer("scale")(photo), pixels, atol=1e-6)
    head = classifier.get_layer("head_relu").output
    features = np.array(import_keras().Model(classifier.input, head)(photo))
    kernel, bias = classifier.get_layer("logits").get_weights()
    expected = features.mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(np.array(classifier(photo)), expected, atol=1e-4)


def test_the_packages_of_the_weights_are_never_imported() -> None:
    assert not [
        name for name in sys.modules if name.startswith("efficientnet_lite") and "_py" in name
    ]


@pytest.fixture(scope="module")
def network() -> Any:
    return efficientnet_lite.build(import_keras(), "lite", 32, Scaling(width=1.0, depth=1.0))


def state_for(network: Any) -> dict[str, np.ndarray]:
    expected = efficientnet_lite._expected_state(network)
    return {name: np.zeros(shape, dtype) for name, (shape, dtype) in expected.items()}


def test_the_exact_state_has_no_differences(network: Any) -> None:
    assert efficientnet_lite.differences(network, state_for(network)) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("_fc.bias", None, "received None"),
        ("_bn0.num_batches_tracked", None, "received None"),
        ("_blocks.16._bn2.bias", np.zeros(320, "f4"), "expected None"),
        ("_conv_stem.weight", np.zeros((32, 3, 5, 5), "f4"), "received ((32, 3, 5, 5), 'float32')"),
        ("_bn0.num_batches_tracked", np.zeros((), "f4"), "received ((), 'float32')"),
        ("_fc.bias", np.zeros(1000, "i8"), "received ((1000,), 'int64')"),
        ("_blocks.3._depthwise_conv.weight", np.zeros((1, 144, 5, 5), "f4"), "expected ((144, 1"),
    ],
)
def test_one_wrong_tensor_is_one_difference(
    network: Any, name: str, value: np.ndarray | None, said: str
) -> None:
    state = state_for(network)
    if value is None:
        del state[name]
    else:
        state[name] = value
    (difference,) = efficientnet_lite.differences(network, state)
    assert difference.startswith(f"{name}: ")
    assert said in difference
