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

from carbrand.commands.preflight import check_own_weights
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
from tests.support.running import in_torture
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
@pytest.mark.parametrize(
    "name",
    # All that the others have besides, these two have.
    [n if n in ("dinov2_giant", "siglip") else pytest.param(n, marks=in_torture) for n in SCALES],
)
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
def test_a_network_of_a_preset_is_of_built_in_layers_and_opens_without_keras_hub(
    presets: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    folder, _ = presets("dinov2_giant")
    backbone = build_backbone(f"hub:{folder}", SIZE_PX, "imagenet")
    for layer in backbone.layers:
        assert type(layer).__module__.startswith("keras.src.layers.")
    backbone.save(tmp_path / "first.h5")
    build_backbone(f"hub:{folder}", SIZE_PX, "imagenet").save(tmp_path / "again.h5")
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()
    # By Keras, and by us as a network of one's own.
    opened = import_keras().models.load_model(tmp_path / "first.h5", compile=False)
    own = build_backbone(str(tmp_path / "first.h5"), SIZE_PX, "imagenet")
    for model in (opened, own):
        for one, other in zip(backbone.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@needs_hub
@in_torture
def test_a_process_without_keras_hub_opens_the_model(
    presets: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    folder, _ = presets("dinov2_giant")
    backbone = build_backbone(f"hub:{folder}", SIZE_PX, "imagenet")
    backbone.save(tmp_path / "model.h5")
    program = (
        "import sys; sys.modules['keras_hub'] = None; import keras, numpy as np;"
        f"print(np.sum(keras.models.load_model({str(tmp_path / 'model.h5')!r})("
        f"np.full((1, {SIZE_PX}, {SIZE_PX}, 3), 99.0))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    expected = float(np.sum(backbone(np.full((1, SIZE_PX, SIZE_PX, 3), 99.0))))
    assert float(done.stdout.split()[-1]) == pytest.approx(expected, rel=1e-4, abs=1e-2)


@needs_hub
@pytest.mark.parametrize(
    ("name", "size_px"),
    [("dinov2_giant", 32), pytest.param("dinov2", 2 * SIZE_PX, marks=in_torture)],
)
def test_dinov2_takes_photos_of_other_sizes_as_keras_hub_does(
    name: str, size_px: int, presets: Callable[[str], tuple[Path, Any]]
) -> None:
    import keras_hub

    folder, _ = presets(name)
    photos = np.stack([draw(number, size_px) for number in range(2)])
    scale, offset = SCALES[name]
    shape = (size_px, size_px, 3)
    model = keras_hub.models.Backbone.from_preset(str(folder), image_shape=shape)
    expected = np.asarray(model(photos * np.float32(scale) + np.float32(offset), training=False))
    backbone = build_backbone(f"hub:{folder}", size_px, "imagenet")
    found = np.asarray(backbone(photos.astype("f4"), training=False))
    patches = (size_px // PATCH_PX) ** 2
    limit = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(found[:, 0, 0, CHANNELS:], expected[:, 0], atol=limit)
    tokens = found[..., :CHANNELS].reshape(2, patches, CHANNELS)
    np.testing.assert_allclose(tokens, expected[:, -patches:], atol=limit)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("side", [4, 8, 16])  # exact in TensorFlow's table of kernels
def test_positions_are_interpolated_as_tensorflow_resizes(side: int, antialias: bool) -> None:
    positions = np.random.default_rng(0).normal(0, 1, (64, 3)).astype(np.float32)
    resized = import_keras().ops.image.resize(
        positions.reshape(8, 8, 3), (side, side), interpolation="bicubic", antialias=antialias
    )
    found = interpolate_positions(positions, side, antialias)
    np.testing.assert_allclose(found, np.reshape(resized, (-1, 3)), atol=1e-5)


# What a user can get wrong


@needs_hub
@pytest.mark.parametrize(
    ("name", "size_px", "said"),
    [
        ("vit", 64, f"whose positions are those of {SIZE_PX} px. Set features.size_px: {SIZE_PX}."),
        ("dinov2", 60, f"no multiple of {PATCH_PX}, the patches of "),
        ("dinov2", 60, "The nearest are 56 and 64."),
    ],
)
def test_a_size_that_does_not_suit_is_answered_with_one_that_does(
    name: str, size_px: int, said: str, presets: Callable[[str], tuple[Path, Any]]
) -> None:
    folder, _ = presets(name)
    line = one_line(lambda: build_backbone(f"hub:{folder}", size_px, "imagenet"))
    assert line.startswith(f"features.size_px: {size_px} ")
    assert said in line


@needs_hub
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dinov2_bas", "has no preset dinov2_bas. Did you mean hub:dinov2_base or "),
        ("vit_base_16_224", " or hub:vit_base_patch16_224_imagenet or "),
        ("siglip2-base-224", "Did you mean hub:siglip"),
        ("bert_base_en", "none of the families that are known here: ViT, DINOv2, SigLIP"),
        ("dinov3_vit_small_lvd1689m", "none of the families that are known here"),
        ("?", "keras-hub has no preset ?. docs/backbones.md says what there is."),
    ],
)
def test_an_unknown_preset_is_answered_with_the_nearest_ones(name: str, said: str) -> None:
    line = one_line(lambda: build_backbone(f"hub:{name}", SIZE_PX, "imagenet"))
    assert said in line
    assert len(line) < 300


@needs_hub
def test_a_download_that_fails_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras_hub

    def fails(*_: object, **__: object) -> None:
        raise ConnectionError("HTTPSConnectionPool: Max retries exceeded")

    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", fails)
    line = one_line(lambda: build_backbone("hub:dinov2_small", 224, "imagenet"))
    assert "could not read the preset dinov2_small (HTTPSConnectionPool: Max retries" in line
    assert "features.backbone: hub:path/to/folder" in line


def without_weights(folder: Path) -> None:
    (folder / "model.weights.h5").unlink()


def of_another_module(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["module"] = "os"
    (folder / "config.json").write_text(json.dumps(config), "utf-8")


def of_a_text_model(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["class_name"] = "BertBackbone"
    (folder / "config.json").write_text(json.dumps(config), "utf-8")


@needs_hub
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shutil.rmtree, "there is none"),
        (without_weights, "it has no model*.weights.*"),
        (lambda folder: (folder / "image_converter.json").unlink(), "no image_converter.json"),
        (lambda folder: (folder / "config.json").write_text("[" * 99_999), "did not write its"),
        (lambda folder: (folder / "config.json").write_text("[]"), "did not write its config.json"),
        (of_another_module, "did not write its config.json"),
        (of_a_text_model, "is a BertBackbone, none of the families"),
    ],
)
def test_a_folder_that_is_no_preset_is_refused_before_anything_is_built(
    damage: Callable[[Path], object],
    said: str,
    presets: Callable[[str], tuple[Path, Any]],
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(presets("vit")[0], tmp_path / "preset"))
    check_weights(f"hub:{folder}", "imagenet")
    damage(folder)
    assert said in one_line(lambda: check_weights(f"hub:{folder}", "imagenet"))


@needs_hub
@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_model_are_refused_in_one_line(
    presets: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(presets("vit")[0], tmp_path / "preset"))
    shutil.copyfile(presets("siglip")[0] / "model.weights.h5", folder / "model.weights.h5")
    line = one_line(lambda: build_backbone(f"hub:{folder}", SIZE_PX, "imagenet"))
    assert "keras-hub could not read the preset" in line
    assert "save_to_preset" in line


@needs_hub
def test_a_folder_that_dvc_does_not_watch_is_noted(
    presets: Callable[[str], tuple[Path, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = presets("vit")[0]
    check_own_weights(f"hub:{folder}", "imagenet")
    assert f"note: {folder} is not in weights/" in capsys.readouterr().err
    check_own_weights("hub:dinov2_small", "imagenet")
    assert capsys.readouterr().err == ""


@needs_hub
def test_a_preset_brings_its_own_weights() -> None:
    line = one_line(lambda: check_weights("hub:dinov2_small", "weights/mine.h5"))
    assert "weights/mine.h5 is one file too many" in line


def test_without_keras_hub_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    line = one_line(lambda: check_weights("hub:dinov2_small", "imagenet"))
    assert "needs keras-hub" in line
    assert "`pip install --no-deps keras-hub " in line
