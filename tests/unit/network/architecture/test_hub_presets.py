"""Presets of keras-hub: what it computes, out of built-in layers, from photo to prediction.

Their weights are a download, so these are small models with random ones, saved as presets are.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from carbrand.model.classifier import Classifier
from carbrand.model.model_file import save_classifier
from carbrand.network.architecture.hub_presets import interpolate_positions
from carbrand.network.backbones import build_backbone, check_weights, levels_of
from carbrand.network.inference.engines import open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import add_pooling
from carbrand.network.weights.network_file import read_network
from carbrand.vectors.feature_store import Recipe
from tests.support.hub_folders import CHANNELS, PATCH_PX, SCALES, SIZE_PX, save_preset
from tests.support.refusals import one_line
from tests.support.small_networks import BRANDS, draw

HUB_IS_THERE = importlib.util.find_spec("keras_hub") is not None
pytestmark = [
    pytest.mark.usefixtures("on_tensorflow"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning"),
]
needs_hub = pytest.mark.skipif(
    not HUB_IS_THERE, reason="needs keras-hub, which is there for Python 3.11 and newer"
)
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="needs OpenVINO"
)
PHOTOS = np.stack([draw(number, SIZE_PX) for number in range(2)])
CELLS = SIZE_PX // PATCH_PX


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """A preset's folder, and the model of keras-hub in it; each is made once."""
    made: dict[str, tuple[Path, Any]] = {}

    def get(name: str) -> tuple[Path, Any]:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = folder, save_preset(name, folder)
        return made[name]

    return get


def hub_maps(name: str, model: Any) -> np.ndarray:
    """What keras-hub gives for PHOTOS: tokens of the patches beside what stands for the whole."""
    scale, offset = SCALES[name]
    photos = PHOTOS * np.float32(scale) + np.float32(offset)
    if name == "siglip":
        encoder = model.vision_encoder
        both = import_keras().Model(
            encoder.inputs, [encoder.post_layer_norm.output, encoder.output]
        )
        tokens, whole = map(np.asarray, both(photos, training=False))
    else:
        tokens = np.asarray(model(photos, training=False))
        whole, tokens = tokens[:, 0], tokens[:, -(CELLS**2) :]
    whole = np.repeat(whole[:, None], CELLS**2, axis=1)
    return np.concatenate([tokens, whole], axis=2).reshape(2, CELLS, CELLS, -1)


@needs_hub
@needs_openvino
@pytest.mark.parametrize("name", SCALES)
def test_a_preset_works_from_photo_to_prediction(
    name: str, presets: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    folder, model = presets(name)
    maps = hub_maps(name, model)
    backbone = build_backbone(f"hub:{folder}", SIZE_PX, "imagenet")
    found = np.asarray(backbone(PHOTOS.astype("f4"), training=False))
    assert found.shape == (2, CELLS, CELLS, 2 * CHANNELS)
    np.testing.assert_allclose(found, maps, atol=1e-5 * np.abs(maps).max())
    assert levels_of(backbone) == ()
    assert backbone.trainable_weights == []

    network, widths = add_pooling(backbone, "avg", ())
    kernel = np.random.default_rng(0).normal(0, 1, (sum(widths), 3)).astype(np.float32)
    recipe = Recipe("stretch", SIZE_PX, tuple(widths))
    save_classifier(tmp_path / "model.h5", network, recipe, kernel, np.zeros(3, "f4"), BRANDS)
    file = read_network(tmp_path / "model.h5")
    assert file.is_translated
    outputs = ["maps", *file.layers["head"].inputs, "head"]
    both = [
        list(open_engine(engine, file, outputs)(list(PHOTOS))) for engine in ("openvino", "keras")
    ]
    for one, other in zip(*both, strict=True):
        for values, expected in zip(one, other, strict=True):
            assert np.linalg.norm(values - expected) <= 1e-4 * np.linalg.norm(expected)
    Image.fromarray(PHOTOS[0]).save(tmp_path / "photo.png")
    classifier = Classifier(tmp_path / "model.h5", heatmaps=True)
    ((_, prediction),) = classifier.predict(tmp_path / "photo.png")
    np.testing.assert_allclose(prediction.probabilities, both[1][0][-1], atol=1e-4)
    assert prediction.heatmap.shape == (CELLS, CELLS)


@needs_hub
def test_model_h5_opens_in_plain_keras_and_is_a_backbone_without_keras_hub(
    presets: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    folder, _ = presets("dinov2_giant")
    backbone = build_backbone(f"hub:{folder}", SIZE_PX, "imagenet")
    backbone.save(tmp_path / "first.h5")
    build_backbone(f"hub:{folder}", SIZE_PX, "imagenet").save(tmp_path / "again.h5")
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()
    own = build_backbone(str(tmp_path / "first.h5"), SIZE_PX, "imagenet")
    for one, other in zip(backbone.get_weights(), own.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    program = (
        "import sys; sys.modules['keras_hub'] = None; import keras, numpy as np;"
        f"print(float(np.sum(keras.models.load_model({str(tmp_path / 'first.h5')!r})("
        f"np.full((1, {SIZE_PX}, {SIZE_PX}, 3), 99.0)))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    expected = np.sum(backbone(np.full((1, SIZE_PX, SIZE_PX, 3), 99.0)))
    assert float(done.stdout.split()[-1]) == pytest.approx(float(expected), rel=1e-4, abs=1e-2)


@needs_hub
@pytest.mark.parametrize("name", ["dinov2", "dinov2_giant"])
def test_dinov2_takes_photos_of_other_sizes_as_keras_hub_does(
    name: str, presets: Callable[[str], tuple[Path, Any]]
) -> None:
    import keras_hub

    folder, _ = presets(name)
    size_px = SIZE_PX // 2 if name == "dinov2_giant" else 2 * SIZE_PX
    photos = np.stack([draw(number, size_px) for number in range(2)])
    scale, offset = SCALES[name]
    shape = (size_px, size_px, 3)
    model = keras_hub.models.Backbone.from_preset(str(folder), image_shape=shape)
    expected = np.asarray(model(photos * np.float32(scale) + np.float32(offset), training=False))
    backbone = build_backbone(f"hub:{folder}", max(size_px, 32), "imagenet") if size_px >= 32 else None
    if backbone is None:
        return
    found = np.asarray(backbone(photos.astype("f4"), training=False))
    patches = (size_px // PATCH_PX) ** 2
    whole = found[:, 0, 0, CHANNELS:]
    np.testing.assert_allclose(whole, expected[:, 0], atol=1e-4 * np.abs(expected).max())
    tokens = found[..., :CHANNELS].reshape(2, patches, CHANNELS)
    np.testing.assert_allclose(tokens, expected[:, -patches:], atol=1e-4 * np.abs(expected).max())
