"""Every network of keras.applications: what Keras computes, from photo to model.h5 to prediction.

Their weights are a download, so here they are random ones in a file. In every run two networks that
have hardly a kind of layer in common; all of them in `make torture`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from carbrand.model.classifier import Classifier
from carbrand.model.model_file import save_classifier
from carbrand.network.architecture.applications import APPLICATIONS
from carbrand.network.backbones import build_backbone, levels_of
from carbrand.network.inference.engines import open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import add_pooling
from carbrand.network.weights.network_file import read_network
from carbrand.node.errors import UserError
from carbrand.vectors.feature_store import Recipe
from tests.support.random_weights import preprocess, randomise, shrink_branches
from tests.support.running import in_torture
from tests.support.small_networks import BRANDS, draw

pytestmark = [
    pytest.mark.usefixtures("on_tensorflow"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # A network called on a tensor takes an array as well as a list of one.
    pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning"),
    pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs OpenVINO"),
]

QUICK = ("mobilenetv3small",)
ALL = [
    name if name in QUICK else pytest.param(name, marks=in_torture)
    for name in sorted(APPLICATIONS, key=lambda name: (name not in QUICK, name))
]


def build(name: str, size_px: int) -> Any:
    """As `keras.applications` makes it."""
    function = getattr(import_keras().applications, APPLICATIONS[name].function)
    return function(include_top=False, weights=None, input_shape=(size_px, size_px, 3))


def original(name: str, size_px: int) -> Any:
    """The same with random weights."""
    model = build(name, size_px)
    randomise(model)
    shrink_branches(model)
    return model


@pytest.mark.parametrize("name", ALL)
def test_an_application_works_from_photo_to_prediction(name: str, tmp_path: Path) -> None:
    keras = import_keras()
    size_px = max(64, APPLICATIONS[name].smallest_px)
    photos = np.stack([draw(number, size_px) for number in range(2)])
    model = original(name, size_px)
    maps = np.asarray(model(preprocess(keras, name, photos), training=False))
    model.save(tmp_path / "weights.h5")
    del model
    backbone = build_backbone(name, size_px, str(tmp_path / "weights.h5"))
    (tmp_path / "weights.h5").unlink()
    # What Keras computes, from photos as they are.
    found = np.asarray(backbone(photos.astype("f4"), training=False))
    scale = np.abs(maps).max()
    assert scale > 0.01
    np.testing.assert_allclose(found, maps, atol=1e-5 * scale)

    network, widths = add_pooling(backbone, "levels", levels_of(backbone))
    assert len(widths) == 4
    kernel = np.random.default_rng(0).normal(0, 1, (sum(widths), 3)).astype(np.float32)
    kernel /= np.linalg.norm(np.asarray(network(photos.astype("f4")))[0])
    recipe = Recipe("stretch", size_px, tuple(widths))
    save_classifier(tmp_path / "model.h5", network, recipe, kernel, np.zeros(3, "f4"), BRANDS)
    # The same in both engines.
    file = read_network(tmp_path / "model.h5")
    (pool,) = file.layers["head"].inputs
    both = [
        list(open_engine(engine, file, [pool, "head"])(list(photos)))
        for engine in ("openvino", "keras")
    ]
    for (vector, probabilities), (expected, answers) in zip(*both, strict=True):
        parts = (np.split(v, np.cumsum(widths)[:-1]) for v in (vector, expected))
        for part, whole in zip(*parts, strict=True):
            assert np.linalg.norm(part - whole) <= 1e-4 * np.linalg.norm(whole)
            assert np.linalg.norm(whole) > 0
        np.testing.assert_allclose(probabilities, answers, atol=1e-4)
    # Opened by Keras alone, and by our own command.
    opened = keras.models.load_model(tmp_path / "model.h5")
    Image.fromarray(photos[0]).save(tmp_path / "photo.png")
    classifier = Classifier(tmp_path / "model.h5", heatmaps=True)
    ((_, prediction),) = classifier.predict(tmp_path / "photo.png")
    expected = np.asarray(opened(photos[:1], training=False))[0]
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-4)
    assert prediction.heatmap.shape == maps.shape[1:3]
    keras.backend.clear_session()


def test_too_small_a_photo_is_refused_by_the_size_that_the_network_needs() -> None:
    with pytest.raises(UserError, match="inceptionv3 needs photos of at least 75 pixels, got 74"):
        build_backbone("inceptionv3", 74, "imagenet")


@in_torture  # it builds a network three times
def test_what_was_built_before_changes_no_name(tmp_path: Path) -> None:
    original("mobilenetv3small", 64).save(tmp_path / "weights.h5")
    for number in range(2):  # Keras goes on counting
        backbone = build_backbone("mobilenetv3small", 64, str(tmp_path / "weights.h5"))
        backbone.save(tmp_path / f"{number}.h5")
    assert (tmp_path / "0.h5").read_bytes() == (tmp_path / "1.h5").read_bytes()


LEVELS = {
    "efficientnet_lite0": ("block15_project_bn", "block14_add"),
    "vgg16": ("block4_conv3", "block3_conv3"),
    "resnet50": ("conv4_block6_out", "conv3_block4_out"),
    "mobilenet": ("conv_pw_11_relu", "conv_pw_5_relu"),
}


@pytest.mark.parametrize("name", LEVELS)
def test_levels_are_the_ends_of_the_stages(name: str) -> None:
    own = name in APPLICATIONS
    backbone = build(name, 32) if own else build_backbone(name, 32, "imagenet")
    assert levels_of(backbone) == LEVELS[name]
