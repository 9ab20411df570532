"""Whatever runs the network: the same vectors, in order, from a bounded number of photos."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carbrand.network.backbones import build_backbone, levels_of
from carbrand.network.extraction import extract
from carbrand.network.inference.engines import ENGINES, Engine, choose, open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import add_pooling
from carbrand.network.weights.lite_weights import LITE
from carbrand.network.weights.network_file import read_network
from carbrand.node.errors import UserError
from carbrand.parallel.batches import BATCH_SIZE, usable_cores
from tests.support.running import in_torture
from tests.support.small_networks import (
    SIZE_PX,
    SMALL_OUTPUTS,
    draw,
    save_lite0,
    save_small_network,
)

pytestmark = pytest.mark.usefixtures("on_tensorflow")

BOTH = ("openvino", "keras")

OPENVINO_IS_THERE = importlib.util.find_spec("openvino") is not None
needs_openvino = pytest.mark.skipif(not OPENVINO_IS_THERE, reason="needs OpenVINO")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Engine]:
    if not OPENVINO_IS_THERE:
        pytest.skip("needs OpenVINO")
    path = save_small_network(tmp_path_factory.mktemp("small") / "network.h5")
    return {name: open_engine(name, read_network(path), SMALL_OUTPUTS) for name in BOTH}


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    if not OPENVINO_IS_THERE:
        pytest.skip("needs OpenVINO")
    path = save_lite0(tmp_path_factory.mktemp("lite0") / "network.h5")
    return open_engine("openvino", read_network(path), ["pool"])


def randomise(model: Any) -> None:
    """Weights under which no layer is without effect and no map grows without end."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        weights = [rng.uniform(0.5, 1.5, w.shape).astype(np.float32) for w in layer.get_weights()]
        if weights and weights[0].ndim == 4:
            shape = weights[0].shape
            inputs = np.prod(shape[:2] if type(layer).__name__ == "DepthwiseConv2D" else shape[:3])
            weights[0] = rng.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32)
        layer.set_weights(weights)


def build_small_resnet() -> Any:
    """Every kind of layer that ResNet50 has, around one block."""
    keras = import_keras()
    layers = keras.layers
    photos = keras.Input((SIZE_PX, SIZE_PX, 3), name="photos")
    x = layers.Rescaling(1.0, offset=[-123.68, -116.779, -103.939], name="minus_mean")(photos)
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(8, 7, strides=2, name="conv1")(x)
    x = layers.BatchNormalization(epsilon=1.001e-5, name="conv1_bn")(x)
    x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    first = x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    x = layers.Conv2D(16, 3, padding="same", name="conv2")(x)
    x = layers.BatchNormalization(epsilon=1.001e-5, name="conv2_bn")(x)
    shortcut = layers.Conv2D(16, 1, name="shortcut")(first)
    x = layers.Add(name="add")([shortcut, x])
    return keras.Model(photos, layers.Activation("relu", name="out")(x), name=SMALL_RESNET)


SMALL_RESNET = "small_resnet"
# The others take seconds each and have no layers but those of these three.
QUICK = ("efficientnet_lite0", "vgg16", SMALL_RESNET)


def build_of_random_weights(name: str, tmp_path: Path) -> Any:
    """A backbone; those whose weights are a download, from a file of random ones."""
    keras = import_keras()
    if name == SMALL_RESNET:
        backbone = build_small_resnet()
        randomise(backbone)
        return backbone
    if name.startswith("efficientnet"):
        backbone = build_backbone(name, SIZE_PX, "imagenet")
        randomise(backbone)
        return backbone
    build = {"resnet50": keras.applications.ResNet50, "vgg16": keras.applications.VGG16}[name]
    model = build(include_top=False, weights=None, input_shape=(SIZE_PX, SIZE_PX, 3))
    randomise(model)
    model.save(tmp_path / "weights.h5")
    return build_backbone(name, SIZE_PX, str(tmp_path / "weights.h5"))


@needs_openvino
@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=in_torture)
        for name in (*LITE, "resnet50", "vgg16", SMALL_RESNET)
    ],
)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_engines_agree_on_maps_and_vectors_of_every_backbone(name: str, tmp_path: Path) -> None:
    backbone = build_of_random_weights(name, tmp_path)
    last = backbone.layers[-1].name
    levels = ("conv2_bn", "pool1") if name == SMALL_RESNET else levels_of(backbone)
    network, widths = add_pooling(backbone, "levels", levels)
    network.save(tmp_path / "network.h5")
    file = read_network(tmp_path / "network.h5")
    outputs = [last, *levels, "pool"]
    photos = [draw(number) for number in range(3)]
    both = (list(open_engine(e, file, outputs)(photos)) for e in BOTH)
    for openvino, keras in zip(*both, strict=True):
        for one, other in zip(openvino, keras, strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype == np.float32
            # Of every kind of features: one of small values must not hide behind another.
            kinds = np.cumsum(widths)[:-1].tolist() if one.ndim == 1 else []
            for part, expected in zip(np.split(one, kinds), np.split(other, kinds), strict=True):
                length = np.linalg.norm(expected)
                assert length > 0
                assert np.linalg.norm(part - expected) <= 1e-4 * length
        *maps, vector = openvino
        assert [array.ndim for array in maps] == [3] * len(maps)
        assert vector.shape == (sum(widths),)
        tops = [array.max(axis=(0, 1)) for array in maps]
        pooled = np.concatenate([maps[0].mean(axis=(0, 1)), *tops])
        np.testing.assert_allclose(vector, pooled, rtol=1e-4, atol=1e-5)


@needs_openvino
@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_lite0",
        pytest.param("efficientnet_lite1", marks=in_torture),
        pytest.param("efficientnet_lite2", marks=in_torture),
    ],
)
def test_the_engines_agree_on_the_weights_that_people_use(name: str, tmp_path: Path) -> None:
    backbone = build_backbone(name, SIZE_PX, "imagenet")
    add_pooling(backbone, "avg_max", ())[0].save(tmp_path / "network.h5")
    file = read_network(tmp_path / "network.h5")
    photos = [draw(number) for number in range(3)]
    openvino, keras = (
        np.stack([vector for (vector,) in open_engine(engine, file, ["pool"])(photos)])
        for engine in BOTH
    )
    lengths = np.linalg.norm(keras, axis=1)
    assert (np.linalg.norm(openvino - keras, axis=1) <= 1e-4 * lengths).all()
    assert len(np.unique(openvino, axis=0)) == 3


def test_every_output_comes_in_the_order_asked_for_and_of_the_photos(engines) -> None:
    photos = [draw(number, 32) for number in range(2 * BATCH_SIZE + 3)]
    both = [list(engines[name](iter(photos))) for name in BOTH]
    assert [len(results) for results in both] == [len(photos)] * 2
    for openvino, keras in zip(*both, strict=True):
        assert [array.shape for array in openvino] == [(24,), (15, 15, 24)]
        for one, other in zip(openvino, keras, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_vectors_of_a_photo_are_the_same_bytes_whatever_is_beside_it(lite0: Engine) -> None:
    photo = draw(0)
    (alone,), *_ = lite0([photo])
    for before, after in ((0, 9), (4, 4), (7, 0), (1, 2)):
        photos = (
            [draw(n + 1) for n in range(before)] + [photo] + [draw(n + 50) for n in range(after)]
        )
        vectors = [vector.tobytes() for (vector,) in lite0(photos)]
        assert vectors[before] == alone.tobytes()
        assert len(set(vectors)) == len(photos)


@pytest.mark.parametrize("name", BOTH)
def test_a_bounded_number_of_photos_is_held(engines, name: str) -> None:
    taken = []

    def photos() -> Iterator[np.ndarray]:
        for number in range(1000):
            taken.append(number)
            yield draw(number, 32)

    results = engines[name](photos())
    for _ in range(5):
        next(results)
    assert len(taken) <= 5 + max(2 * usable_cores(), BATCH_SIZE)
    results.close()


@pytest.mark.parametrize("name", BOTH)
def test_what_goes_wrong_in_reading_is_raised_and_the_engine_works_on(engines, name: str) -> None:
    def photos() -> Iterator[np.ndarray]:
        yield from (draw(number, 32) for number in range(2 * usable_cores() + BATCH_SIZE))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(engines[name](photos()))
    assert len(list(engines[name]([draw(0, 32)]))) == 1
    assert list(engines[name]([])) == []


def test_two_readers_of_one_engine_do_not_mix(lite0: Engine) -> None:
    evens, odds = ([draw(n) for n in range(start, 12, 2)] for start in (0, 1))
    together = zip(lite0(evens), lite0(odds), strict=True)
    mixed = [vector.tobytes() for pair in together for (vector,) in pair]
    assert mixed == [vector.tobytes() for (vector,) in lite0([draw(n) for n in range(12)])]


def test_photos_of_another_kind_or_size_are_refused(lite0: Engine) -> None:
    with pytest.raises(TypeError, match="float64"):
        list(lite0([draw(0) / 255]))
    with pytest.raises(ValueError, match="shape"):
        list(lite0([draw(0, 32)]))


def test_without_openvino_keras_is_taken_and_asking_for_it_says_how_to_mend(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # Python's way to say "not there"
    assert choose("auto") == "keras"
    assert choose("keras") == "keras"
    with pytest.raises(UserError, match="pip install openvino") as refused:
        choose("openvino")
    assert len(str(refused.value).splitlines()) == 1


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(UserError, match=r"no engine torch\. Known: auto, openvino, keras"):
        choose("torch")
    assert ENGINES[0] == "auto"


def test_extract_gives_the_views_of_each_photo_together_and_in_order() -> None:
    def network(views):
        return ((view.astype(np.float32).ravel(),) for view in views)

    def views_of(photo: int) -> list[np.ndarray]:  # of photos with one, two or three views
        return [np.array([photo, view], np.uint8) for view in range(1 + photo % 3)]

    found = list(extract(range(50), views_of, network))
    assert [array.shape for array in found] == [(1 + n % 3, 2) for n in range(50)]
    assert all(array.dtype == np.float32 for array in found)
    for photo, array in enumerate(found):
        assert array.tolist() == [[photo, view] for view in range(1 + photo % 3)]


def test_extract_reads_only_so_far_ahead() -> None:
    read = []

    def views_of(photo: int) -> np.ndarray:
        read.append(photo)
        return np.zeros((2, 3), np.uint8)

    vectors = extract(range(1000), views_of, lambda views: ((view,) for view in views))
    next(vectors)
    assert 0 < len(read) <= 2 + 2 * usable_cores()
