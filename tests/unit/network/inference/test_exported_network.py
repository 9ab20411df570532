"""Layers that are not translated here run on OpenVINO all the same, as Keras wrote them, once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from carbrand.export.runtimes.targets import FORMATS
from carbrand.model.classifier import Classifier
from carbrand.network.backbones import build_backbone, levels_of
from carbrand.network.inference import exported_network
from carbrand.network.inference.engines import open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.weights.network_file import NotANetwork, read_network
from carbrand.node.errors import UserError
from tests.conftest import draw_photo
from tests.support.running import in_torture
from tests.support.small_networks import MODEL_PX, draw, save_model

pytestmark = [
    pytest.mark.usefixtures("on_tensorflow"),
    pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs OpenVINO"),
]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    import platformdirs

    return Path(platformdirs.user_cache_dir("carbrand", False)) / "networks"


def unusual(path: Path) -> Path:
    """A network whose layers are not all translated, saved as a Keras file."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    photos = keras.Input((MODEL_PX, MODEL_PX, 3), name="photos")
    x = layers.Rescaling(1 / 128, -1)(photos)
    x = layers.Conv2D(6, 3, strides=2, name="early")(x)
    x = layers.PReLU(alpha_initializer="normal", shared_axes=[1, 2], name="prelu")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(x)
    x = layers.GroupNormalization(2, name="groups")(x)
    x = layers.UpSampling2D(name="larger")(x)
    keras.Model(photos, x, name="unusual").save(path)
    return path


def model_of(folder: Path) -> Path:
    backbone: Any = build_backbone(str(unusual(folder / "mine.keras")), MODEL_PX, "imagenet")
    assert levels_of(backbone) == ("prelu",)
    return save_model(folder / "model.h5", backbone, "avg_max")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_both_engines_agree_and_the_export_is_kept(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model_of(tmp_path)
    network = read_network(path)
    assert not network.is_translated
    pytest.importorskip("onnx")
    source: Any = SimpleNamespace(network=network, metadata={})
    with pytest.raises(UserError, match=r"onnx: .*PReLU is not translated"):
        FORMATS["onnx"].write(source, tmp_path / "m.onnx")
    outputs = ["pool_avg", "larger", "head"]
    photos = [draw(number, MODEL_PX) for number in range(5)]
    both = [list(open_engine(e, network, outputs)(photos)) for e in ("openvino", "keras")]
    for one, other in zip(*both, strict=True):
        for found, expected in zip(one, other, strict=True):
            assert found.shape == expected.shape
            assert np.linalg.norm(found - expected) <= 1e-4 * np.linalg.norm(expected)
    assert sorted(file.suffix for file in cache.iterdir()) == [".bin", ".xml"]
    assert cache.stat().st_mode & 0o077 == 0
    # The second time nothing is written: what would write is not there.
    monkeypatch.setattr("carbrand.network.inference.exported_network.subprocess.run", None)
    open_engine("openvino", network, outputs)


@in_torture  # in every run, both engines agree
@pytest.mark.usefixtures("cache")
def test_a_model_of_such_layers_predicts(tmp_path: Path) -> None:
    path = model_of(tmp_path)
    draw_photo((200, 30, 30), 1).save(tmp_path / "photo.png")
    ((_, prediction),) = Classifier(path, heatmaps=True).predict([str(tmp_path / "photo.png")])
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert prediction.heatmap.shape == (16, 16)


def test_a_folder_that_others_may_write_to_is_not_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    network = read_network(model_of(tmp_path))

    def write(_network: Any, _outputs: Any, path: Path) -> None:
        assert path.parent != cache
        path.touch()

    monkeypatch.setattr(exported_network, "_export", write)
    with exported_network.exported(network, ["head"]) as path:
        assert path.exists()
    assert not path.exists()
    assert not list(cache.iterdir())


@pytest.mark.usefixtures("cache")
def test_what_keras_cannot_write_is_no_network(tmp_path: Path) -> None:
    network = read_network(model_of(tmp_path))
    network.path.write_bytes(b"")
    with pytest.raises(NotANetwork, match="Keras cannot write it for OpenVINO"):
        open_engine("openvino", network, ["head"])
