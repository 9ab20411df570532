"""A Keras file of one's own as a backbone: read with care, and rebuilt rather than loaded."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from carbrand.network.backbones import build_backbone, check_weights, levels_of
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import add_pooling
from tests.support.refusals import one_line
from tests.support.small_networks import draw

pytestmark = [
    pytest.mark.usefixtures("on_tensorflow"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning"),
]

SIZE_PX = 32
PHOTOS = np.stack([draw(number, SIZE_PX) for number in range(2)]).astype("f4")


def maps_of(keras: Any, photos: Any) -> Any:
    """Two stages, and a network in the network."""
    layers = keras.layers
    x = layers.Rescaling(1 / 128, -1)(photos)
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="early")(x)
    inner = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Conv2D(8, 3, strides=2, name="inner_conv"),
            layers.BatchNormalization(name="inner_bn"),
            layers.Dropout(0.2),
        ],
        name="inner",
    )
    x = inner(x)
    return layers.Activation("gelu", name="last")(x * 0.5 + 1.0)


@pytest.fixture
def photos() -> Any:
    import_keras().utils.set_random_seed(0)
    return import_keras().Input((SIZE_PX, SIZE_PX, 3), name="input")


def answers(model: Any) -> np.ndarray:
    return np.asarray(model(PHOTOS, training=False))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_its_maps_are_those_of_the_file(photos: Any, suffix: str, tmp_path: Path) -> None:
    keras = import_keras()
    model = keras.Model(photos, maps_of(keras, photos))
    path = tmp_path / f"mine.{suffix}"
    model.save(path)
    check_weights(str(path), "imagenet")
    backbone = build_backbone(str(path), SIZE_PX, "imagenet")
    np.testing.assert_allclose(answers(backbone), answers(model), atol=1e-5)
    assert levels_of(backbone) == ("early",)
    assert backbone.trainable_weights == []


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_head_of_classes_is_left_out(photos: Any, suffix: str, tmp_path: Path) -> None:
    keras = import_keras()
    maps = maps_of(keras, photos)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool_avg")(maps)
    head = keras.layers.Dense(3, activation="softmax", name="head")(pooled)
    keras.Model(photos, head).save(tmp_path / f"mine.{suffix}")
    backbone = build_backbone(str(tmp_path / f"mine.{suffix}"), SIZE_PX, "imagenet")
    np.testing.assert_allclose(answers(backbone), answers(keras.Model(photos, maps)), atol=1e-5)
    add_pooling(backbone, "avg_max", ())  # with layers of the same names


def test_a_vector_is_one_cell_and_has_no_levels(photos: Any, tmp_path: Path) -> None:
    keras = import_keras()
    x = keras.layers.Rescaling(1 / 255)(photos)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(5, 3)(x))
    model = keras.Model(photos, x)
    model.save(tmp_path / "mine.keras")
    backbone = build_backbone(str(tmp_path / "mine.keras"), SIZE_PX, "imagenet")
    np.testing.assert_allclose(answers(backbone)[:, 0, 0], answers(model), atol=1e-6)
    network, widths = add_pooling(backbone, "avg", ())
    assert widths == [5]
    np.testing.assert_allclose(answers(network), answers(model), atol=1e-6)
    line = one_line(lambda: add_pooling(backbone, "levels", levels_of(backbone)))
    assert "features.pooling: levels" in line
    assert "Set features.pooling: avg" in line


def test_its_weights_may_not_come_from_elsewhere(photos: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    import_keras().Model(photos, maps_of(import_keras(), photos)).save(path)
    line = one_line(lambda: check_weights(str(path), "weights/other.h5"))
    assert "brings its own weights" in line


# What could run code, or reach outside


def saved(photos: Any, folder: Path) -> Path:
    keras = import_keras()
    keras.Model(photos, maps_of(keras, photos)).save(folder / "mine.keras")
    return folder / "mine.keras"


def rewrite(path: Path, packed: bool = False, **members: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist()}
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in content.items():
            change = members.get(name.split(".")[0])
            archive.writestr(name, change(data) if change else data)


def in_layer(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        config = json.loads(data)
        (entry,) = (e for e in config["config"]["layers"] if e["config"].get("name") == name)
        change(entry)
        return json.dumps(config).encode()

    return edit


CODE = {"class_name": "function", "config": {"code": "os.system", "module": "os"}}
HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a Lambda": lambda e: e.update(class_name="Lambda"),
    "a layer of one's own": lambda e: e.update(module="mylib.layers", class_name="Conv2D"),
    "a class of a module": lambda e: e.update(module="os", class_name="system"),
    "a SavedModel": lambda e: e.update(class_name="TFSMLayer"),
    "a function": lambda e: e["config"].update(activation=CODE),
    "an activation of one's own": lambda e: e["config"].update(activation="os.system"),
    "a setting that is code": lambda e: e["config"].update(padding=CODE),
    "a setting that is not known": lambda e: e["config"].update(hook="os.system"),
    "a huge kernel": lambda e: e["config"].update(filters=10**9),
    "a kernel of text": lambda e: e["config"].update(filters="many"),
    "a layer used twice": lambda e: e.update(inbound_nodes=2 * e["inbound_nodes"]),
    "no settings": lambda e: e.update(config={"name": "early"}),
    "a name that is no text": lambda e: e["config"].update(name=["x"]),
    "Keras 2": lambda e: e.update(inbound_nodes=[[["input", 0, 0, {}]]]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_layer_of_keras_is_refused(change: Any, photos: Any, tmp_path: Path) -> None:
    path = saved(photos, tmp_path)
    rewrite(path, config=in_layer("early", change))
    line = one_line(lambda: build_backbone(str(path), SIZE_PX, "imagenet"))
    assert str(path) in line


def test_initialisers_and_regularisers_of_ones_own_are_not_looked_at(
    photos: Any, tmp_path: Path
) -> None:
    path = saved(photos, tmp_path)
    own = {"kernel_initializer": CODE, "kernel_regularizer": CODE, "dtype": CODE}
    rewrite(path, config=in_layer("early", lambda e: e["config"].update(own)))
    build_backbone(str(path), SIZE_PX, "imagenet")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: rewrite(path, packed=True), "is packed"),
        (lambda path: rewrite(path, config=lambda _: b"[" * 100_000), "damaged .keras file"),
        (lambda path: rewrite(path, config=lambda _: b"{}"), "its description is damaged"),
        (lambda path: rewrite(path, model=lambda data: data[:5000]), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "damaged .keras file"),
        (lambda path: path.write_bytes(b"PK\x03\x04"), "damaged .keras file"),
        (lambda path: path.write_bytes(b"nothing"), "is not an HDF5 file"),
        (Path.unlink, "is not a file"),
    ],
)
def test_a_damaged_file_is_one_line(
    damage: Callable[[Path], object], said: str, photos: Any, tmp_path: Path
) -> None:
    path = saved(photos, tmp_path)
    damage(path)
    line = one_line(lambda: build_backbone(str(path), SIZE_PX, "imagenet"))
    assert said in line


def test_two_members_of_one_name_and_names_with_paths_are_not_followed(
    photos: Any, tmp_path: Path
) -> None:
    path = saved(photos, tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped.h5", b"x")
    build_backbone(str(path), SIZE_PX, "imagenet")
    assert not list(tmp_path.parent.glob("escaped*"))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", b"{}")
    assert "2 times config.json" in one_line(lambda: check_weights(str(path), "imagenet"))


def test_links_out_of_the_weights_are_refused(photos: Any, tmp_path: Path) -> None:
    keras = import_keras()
    path = tmp_path / "mine.h5"
    keras.Model(photos, maps_of(keras, photos)).save(path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/early/early"]
        del group["kernel"]
        group["kernel"] = h5py.ExternalLink("other.h5", "/kernel")
    assert "is a link" in one_line(lambda: build_backbone(str(path), SIZE_PX, "imagenet"))


def test_weights_without_a_network_say_where_they_belong(photos: Any, tmp_path: Path) -> None:
    keras = import_keras()
    keras.Model(photos, maps_of(keras, photos)).save_weights(tmp_path / "x.weights.h5")
    line = one_line(lambda: check_weights(str(tmp_path / "x.weights.h5"), "imagenet"))
    assert "holds weights, but no network" in line
    assert "features.weights" in line
