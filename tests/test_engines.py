"""Whatever runs the network: the same vectors, in order, from a bounded number of photos."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carbrand.network.backbones import BACKBONES, build_backbone, levels_of
from carbrand.network.engines import _GPU_DEVICES, ENGINES, Engine, choose, open_engine
from carbrand.network.extraction import extract
from carbrand.network.keras_import import import_keras
from carbrand.network.network_file import read_network
from carbrand.network.pooling import add_pooling
from carbrand.node.errors import UserError
from carbrand.parallel.batches import BATCH_SIZE, usable_cores
from tests.conftest import ROOT, run

pytestmark = pytest.mark.usefixtures("on_tensorflow")

BOTH = ("openvino", "keras")
SIZE_PX = 64

OPENVINO_IS_THERE = importlib.util.find_spec("openvino") is not None
needs_openvino = pytest.mark.skipif(not OPENVINO_IS_THERE, reason="needs OpenVINO")


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


# The later one first.
SMALL_OUTPUTS = ("a_pool", "z_conv")


def save_lite0(path: Path) -> Path:
    """Lite0 as `features` makes it by default; the output is the layer `pool`."""
    backbone = build_backbone("efficientnet_lite0", SIZE_PX, "imagenet")
    network, _ = add_pooling(backbone, "levels", levels_of("efficientnet_lite0"))
    network.save(path)
    return path


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


def build_of_random_weights(name: str, tmp_path: Path) -> Any:
    """A backbone; those whose weights are a download, from a file of random ones."""
    keras = import_keras()
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
@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_engines_agree_on_maps_and_vectors_of_every_backbone(name: str, tmp_path: Path) -> None:
    backbone = build_of_random_weights(name, tmp_path)
    last, levels = backbone.layers[-1].name, levels_of(name)
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
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
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


IN_A_FRESH_PROCESS = """
import hashlib, os, sys
if sys.argv[1] == "one core":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
from pathlib import Path
from carbrand.network.engines import open_engine
from carbrand.network.network_file import read_network
from tests.test_engines import SMALL_OUTPUTS, draw
assert "openvino" not in sys.modules

watched = []
def watch(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.", "subprocess.", "os.mkdir", "os.rename")):
        watched.append((event, *map(str, arguments)))
    if event == "open" and str(arguments[0]).startswith(os.environ["HOME"]):
        watched.append((event, *map(str, arguments)))
sys.addaudithook(watch)

small, large = map(Path, sys.argv[2:])
assert len(list(open_engine("openvino", read_network(small), SMALL_OUTPUTS)([draw(0, 32)]))) == 1
digest = hashlib.sha256()
network = read_network(large)
for (vector,) in open_engine("openvino", network, ["pool"])([draw(number) for number in range(9)]):
    digest.update(vector.tobytes())
assert not watched, watched
assert not {"openvino_telemetry", "keras", "tensorflow"} & set(sys.modules)
print(digest.hexdigest())
"""


def in_a_fresh_process(cores: str, folder: Path) -> str:
    """What a process of so many cores prints, if nothing else comes out of it."""
    home = folder / "home"
    home.mkdir()
    networks = save_small_network(folder / "small.h5"), save_lite0(folder / "lite0.h5")
    # On CI telemetry would be off by itself.
    environment = {"HOME": str(home), "PYTHONPATH": str(ROOT)} | dict.fromkeys(
        ("CI", "TF_BUILD"), ""
    )
    done = run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, cores, *map(str, networks)], ROOT, environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (home / "intel").exists()  # where its makers' telemetry keeps its number
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are not to be limited here")
def test_bytes_do_not_depend_on_cores_and_nothing_is_sent_written_or_said(
    lite0: Engine, tmp_path: Path
) -> None:
    digest = hashlib.sha256()
    for (vector,) in lite0([draw(number) for number in range(9)]):
        digest.update(vector.tobytes())
    assert in_a_fresh_process("one core", tmp_path) == digest.hexdigest()


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


@needs_openvino
@pytest.mark.skipif(
    sys.platform != "linux" or any(Path(device).exists() for device in _GPU_DEVICES),
    reason="only TensorFlow knows whether it can use a GPU",
)
def test_the_question_for_the_engine_needs_no_tensorflow() -> None:
    ask = "import sys; from carbrand.network.engines import choose; print(choose('auto'));"
    ask += "assert not {'tensorflow', 'keras', 'openvino'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "openvino\n"


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
