"""A network is read from a Keras file without Keras: exactly what it is, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from carbrand.model.classifier import Classifier
from carbrand.model.model_file import NotAModel, save_classifier
from carbrand.network.inference.engines import open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.weights.network_file import KINDS, NotANetwork, read_network
from carbrand.vectors.feature_store import Recipe

pytestmark = pytest.mark.usefixtures("on_tensorflow")

SIZE_PX = 32
BRANDS = ["asta", "bolt", "cirro"]
PHOTO = np.random.default_rng(0).integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)

Config = dict[str, Any]
Change = Callable[[Config], object]
Damage = Callable[[h5py.File], object]


@pytest.fixture(scope="module")
def network() -> Any:
    """Photos to vectors (32,), by layers of every kind that we know but the head's."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    photos = keras.Input((SIZE_PX, SIZE_PX, 3), name="photos")
    x = layers.Rescaling(1 / 128, offset=[-1.0, -0.9, -0.8], name="scale")(photos)
    x = layers.ZeroPadding2D(((1, 2), (0, 3)), name="pad")(x)
    x = layers.Conv2D(16, 3, strides=2, name="conv", bias_initializer="normal")(x)
    x = layers.BatchNormalization(name="bn", beta_initializer="normal")(x)
    x = wide = layers.ReLU(max_value=6, name="relu6")(x)
    x = layers.DepthwiseConv2D(5, padding="same", name="depthwise")(x)
    x = layers.Activation("relu", name="relu")(x)
    x = layers.Add(name="add")([wide, x])
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="max_pool")(x)
    pools = [
        layers.GlobalAveragePooling2D(name="pool_avg")(x),
        layers.GlobalMaxPooling2D(name="pool_max")(x),
    ]
    return keras.Model(photos, layers.Concatenate(name="pool")(pools), name="small")


@pytest.fixture(scope="module")
def content(network: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model.h5 as it should be."""
    path = tmp_path_factory.mktemp("whole") / "model.h5"
    kernel = np.random.default_rng(0).normal(0, 1, (32, 3)).astype(np.float32)
    recipe = Recipe("stretch", SIZE_PX, (16, 16))
    save_classifier(path, network, recipe, kernel, np.zeros(3, np.float32), BRANDS)
    return path.read_bytes()


@pytest.fixture
def path(content: bytes, tmp_path: Path) -> Path:
    """A copy of it to be changed."""
    (tmp_path / "model.h5").write_bytes(content)
    return tmp_path / "model.h5"


def change_config(path: Path, change: Change) -> None:
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"])
        file.attrs["model_config"] = json.dumps(config)


def layer(config: Config, name: str) -> Config:
    return next(entry for entry in config["layers"] if entry["config"]["name"] == name)


def assert_refused(path: Path) -> None:
    """By what opens a network, and in one line by what opens a model."""
    with pytest.raises(NotANetwork):
        open_engine("openvino", read_network(path), ["head"])
    with pytest.raises(NotAModel) as refused:
        Classifier(path)
    (line,) = refused.value.problems
    assert line.startswith(f"{path} is not a model that this project wrote")


def test_the_layers_are_what_keras_says(network: Any, path: Path) -> None:
    network = import_keras().models.load_model(path, compile=False)
    read = read_network(path)
    assert list(read.layers) == [layer.name for layer in network.layers]
    assert read.output == "head"
    assert read.input_shape == (SIZE_PX, SIZE_PX, 3)
    for found, layer in zip(read.layers.values(), network.layers, strict=True):
        assert found.kind == type(layer).__name__
        assert found.kind in KINDS
        weights = dict(zip([w.name for w in layer.weights], layer.get_weights(), strict=True))
        assert found.weights.keys() == weights.keys()
        for name, values in weights.items():
            assert found.weights[name].dtype == np.float32
            np.testing.assert_array_equal(found.weights[name], values)
        before = [layer.input] if not isinstance(layer.input, list) else layer.input
        if found.inputs:
            assert found.inputs == tuple(tensor._keras_history.operation.name for tensor in before)
            assert found.channels == before[0].shape[-1]
        else:
            assert found.channels == 0


def test_every_layer_gives_what_it_gives_in_keras(path: Path) -> None:
    network = read_network(path)
    names = [name for name in network.layers if name != "photos"]
    openvino, keras = (
        next(open_engine(engine, network, names)([PHOTO])) for engine in ("openvino", "keras")
    )
    for name, one, other in zip(names, openvino, keras, strict=True):
        assert (one.shape, one.dtype) == (other.shape, np.dtype(np.float32)), name
        assert np.linalg.norm(one - other) <= 1e-5 * np.linalg.norm(other), name
        assert other.std() > 0.01, name


def test_where_there_is_no_file_there_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(NotANetwork, match="absent"):
        read_network(tmp_path / "absent.h5")


def reads(config: Config, name: str, *sources: str) -> None:
    """Let a layer read others, whatever their shapes."""
    entry = layer(config, name)
    tensor = json.dumps(entry["inbound_nodes"][0]["args"])
    first = json.loads(tensor)
    while isinstance(first, list):
        first = first[0]
    tensors = [
        json.loads(json.dumps(first)) | {"config": first["config"] | {"keras_history": [s, 0, 0]}}
        for s in sources
    ]
    entry["inbound_nodes"][0]["args"] = [tensors] if len(tensors) > 1 else tensors


def sets(name: str, /, **settings: object) -> Change:
    return lambda config: layer(config, name)["config"].update(settings)


def kind(name: str, other: str) -> Change:
    return lambda config: layer(config, name).update(class_name=other)


CHANGES: dict[str, Change] = {
    "a Lambda": kind("relu", "Lambda"),
    "a layer that is not known": kind("relu", "GELU"),
    "a network inside": kind("conv", "Functional"),
    "a kind that is no text": lambda c: layer(c, "relu").update(class_name=["ReLU"]),
    "two outputs": lambda c: c.update(output_layers=[["head", 0, 0], ["pool", 0, 0]]),
    "no output": lambda c: c.update(output_layers=[]),
    "an output that is not there": lambda c: c.update(output_layers=["tail", 0, 0]),
    "outputs that are no list": lambda c: c.update(output_layers=7),
    "no layers": lambda c: c.update(layers=[]),
    "layers that are no list": lambda c: c.update(layers=3),
    "no input": lambda c: c["layers"].remove(layer(c, "photos")),
    "two inputs": lambda c: c["layers"].append(
        json.loads(json.dumps(layer(c, "photos")).replace('"photos"', '"more"'))
    ),
    "one name twice": lambda c: c["layers"].append(dict(layer(c, "relu"))),
    "no name": lambda c: layer(c, "relu")["config"].pop("name"),
    "a name that is no text": sets("head", name=["head"]),
    "a layer that reads itself": lambda c: reads(c, "relu", "relu"),
    "a layer that reads a later one": lambda c: reads(c, "relu", "pool"),
    "a layer that reads what is not there": lambda c: reads(c, "relu", "nothing"),
    "a layer that reads nothing": lambda c: layer(c, "relu").update(inbound_nodes=[]),
    "a convolution of two maps": lambda c: reads(c, "depthwise", "relu6", "bn"),
    "a sum of one map": lambda c: reads(c, "add", "relu"),
    "a sum of maps of other shapes": lambda c: reads(c, "add", "relu", "pad"),
    "a sum of a map and a vector": lambda c: reads(c, "pool", "pool_avg", "relu"),
    "a layer called twice": lambda c: layer(c, "pool").update(
        inbound_nodes=2 * layer(c, "pool")["inbound_nodes"]
    ),
    "settings that are none": lambda c: layer(c, "relu").update(config=None),
    "no settings": lambda c: layer(c, "conv").update(config={"name": "conv"}),
    "another activation": sets("conv", activation="mish"),
    "an activation of its own": sets("conv", activation={"class_name": "function"}),
    "softmax on maps": sets("conv", activation="softmax"),
    "a leaky ReLU": sets("relu6", negative_slope=0.1),
    "a ReLU with a threshold": sets("relu6", threshold=1.0),
    "a ReLU up to nothing": sets("relu6", max_value="six"),
    "channels before height": sets("conv", data_format="channels_first"),
    "pooled channels before height": sets("pool_avg", data_format="channels_first"),
    "groups": sets("conv", groups=3),
    "causal padding": sets("conv", padding="causal"),
    "strides of nothing": sets("conv", strides=[0, 0]),
    "strides of text": sets("conv", strides=["a", "b"]),
    "one stride": sets("conv", strides=[2]),
    "padding of text": sets("pad", padding="all"),
    "negative padding": sets("pad", padding=[[-40, 0], [0, 0]]),
    "pools kept as maps": sets("pool_avg", keepdims=True),
    "joined along no channels": sets("pool", axis=0),
    "normed along no channels": sets("bn", axis=1),
    "a scale of text": sets("scale", scale="large"),
    "a scale of too many numbers": sets("scale", scale=[1.0] * 5),
    "an epsilon of text": sets("bn", epsilon="small"),
    "no shape of photos": sets("photos", batch_shape=None),
    "photos of any size": sets("photos", batch_shape=[None, None, None, 3]),
    "photos of four channels": sets("photos", batch_shape=[None, 32, 32, 4]),
    "photos that are flat": sets("photos", batch_shape=[None, 32]),
    "photos of a size in text": sets("photos", batch_shape=[None, "32", "32", 3]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_network_that_is_not_known_here_is_refused(change: Change, path: Path) -> None:
    change_config(path, change)
    assert_refused(path)


def test_a_description_that_is_none_is_refused(path: Path) -> None:
    for text in ("", "{", "[]", "{}", '{"config": 3}', "[" * 100_000):
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = text
        assert_refused(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    assert_refused(path)


CONV = "model_weights/conv"
KERNEL = f"{CONV}/conv/kernel"


def store(make: Callable[[np.ndarray], Any]) -> Damage:
    """Other content for the kernel of the convolution."""

    def damage(file: h5py.File) -> None:
        values = file[KERNEL][()]
        del file[KERNEL]
        file[KERNEL] = make(values)

    return damage


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[1, 1, 1, 1] = value
        return values

    return change


def drop(name: str) -> Damage:
    def damage(file: h5py.File) -> None:
        del file[name]

    return damage


def list_weights(names: Any) -> Damage:
    def damage(file: h5py.File) -> None:
        file[CONV].attrs["weight_names"] = names

    return damage


def link(target: Any) -> Damage:
    def damage(file: h5py.File) -> None:
        del file[KERNEL]
        file[KERNEL] = target

    return damage


def huge(file: h5py.File) -> None:
    """An array of a terabyte that takes no room in the file."""
    del file[KERNEL]
    file.create_dataset(KERNEL, (2**19, 2**19), "f4", chunks=(1024, 1024))


DAMAGES: dict[str, Damage] = {
    "no weights": drop("model_weights"),
    "a layer without weights": drop(CONV),
    "a head without weights": drop("model_weights/head"),
    "an array that is not there": drop(KERNEL),
    "a group in place of an array": lambda file: (drop(KERNEL)(file), file.create_group(KERNEL)),
    "no list of weights": lambda file: file[CONV].attrs.pop("weight_names"),
    "an empty list of weights": list_weights(np.array([], "S1")),
    "a list of numbers": list_weights(np.arange(2)),
    "names that are no text": list_weights(np.array([b"\xff\xfe"])),
    "a weight that nobody knows": lambda file: (
        file[f"{CONV}/conv"].move("kernel", "core"),
        list_weights(["conv/core", "conv/bias"])(file),
    ),
    "no number": store(with_value(np.nan)),
    "no end": store(with_value(-np.inf)),
    "half the bits": store(lambda values: values.astype(np.float16)),
    "twice the bits": store(lambda values: values.astype(np.float64)),
    "whole numbers": store(lambda values: values.astype(np.int32)),
    "truths": store(lambda values: values > 0),
    "text": store(lambda _: "kernel"),
    "a single number": store(lambda _: np.float32(1)),
    "too few numbers": store(lambda values: values[:, :, :2]),
    "another axis first": store(lambda values: values.transpose(3, 2, 1, 0)),
    "too many numbers for memory": huge,
    "a link into another file": link(h5py.ExternalLink("other.h5", "/kernel")),
    "a link to nothing": link(h5py.SoftLink("/nothing")),
    "a negative variance": lambda file: file["model_weights/bn/bn/moving_variance"].write_direct(
        np.full(16, -1, np.float32)
    ),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_weights_that_are_not_what_they_should_be_are_refused(damage: Damage, path: Path) -> None:
    with h5py.File(path.with_name("other.h5"), "w") as other, h5py.File(path) as file:
        other["kernel"] = file[KERNEL][()]
    with h5py.File(path, "r+") as file:
        damage(file)
    assert_refused(path)


def test_a_file_that_was_cut_off_is_refused(content: bytes, path: Path) -> None:
    for length in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        assert_refused(path)


def test_a_description_with_damage_is_refused_or_read_as_what_it_says(
    content: bytes, path: Path
) -> None:
    """In the middle of a name or a number that nobody reads it does no harm."""
    start, end = content.index(b'{"class_name": "Functional"'), content.rindex(b'"output_layers"')
    refused = 0
    for place in range(start, end, 211):
        path.write_bytes(content[:place] + b"\xff9" + content[place + 2 :])
        try:
            next(open_engine("openvino", read_network(path), ["head"])([PHOTO]))
        except NotANetwork:
            refused += 1
            assert_refused(path)
    assert refused > 10


@pytest.mark.parametrize("text", [b"", b"no network", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"])
def test_what_is_no_hdf5_file_is_refused(text: bytes, path: Path) -> None:
    path.write_bytes(text)
    assert_refused(path)
