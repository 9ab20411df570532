"""The networks of `keras.applications`, with their own preprocessing as their first layer."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from types import ModuleType
from typing import Any

from carbrand.network.architecture.keras_graph import (
    Graph,
    NotDescribed,
    describe,
    without_preprocessing,
)
from carbrand.network.architecture.rebuild import (
    assign,
    containers_of,
    rebuild,
    weights_of,
    with_zeros,
)
from carbrand.node.errors import UserError

_DOWNLOAD_TIMEOUT_S = 60  # without a byte; urllib has no timeout of its own

_MEAN_RGB, _DEVIATION_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, in 0…1
_CAFFE_MEAN_RGB = (123.68, 116.779, 103.939)
# The preprocessing of keras.applications as name, scale and offset of a Rescaling. "caffe" also
# wants blue, green, red: photos stay RGB, and the first kernel is reversed instead.
CAFFE = "minus_imagenet_mean"
_CAFFE = (CAFFE, 1.0, [-mean for mean in _CAFFE_MEAN_RGB])
_TF = ("scale", 1 / 127.5, -1.0)
_TORCH = (
    "scale",
    [1 / 255 / deviation for deviation in _DEVIATION_RGB],
    [-mean / deviation for mean, deviation in zip(_MEAN_RGB, _DEVIATION_RGB, strict=True)],
)
_V2 = ("scale", 1 / 128, -1.0)


@dataclass(frozen=True)
class Application:
    """A network: its function, the size it was trained at, and its preprocessing.

    top1: share of ImageNet's validation photos named right, as keras.io/api/applications states it;
    None where it does not.
    """

    function: str
    size_px: int
    scaling: tuple[str, Any, Any]
    top1: float | None
    smallest_px: int = 32


APPLICATIONS = {
    entry.function.lower(): entry
    for entry in (
        Application("ConvNeXtTiny", 224, _TORCH, 0.813),
        Application("ConvNeXtSmall", 224, _TORCH, 0.823),
        Application("ConvNeXtBase", 224, _TORCH, 0.853),
        Application("ConvNeXtLarge", 224, _TORCH, 0.863),
        Application("ConvNeXtXLarge", 224, _TORCH, 0.867),
        Application("DenseNet121", 224, _TORCH, 0.750),
        Application("DenseNet169", 224, _TORCH, 0.762),
        Application("DenseNet201", 224, _TORCH, 0.773),
        Application("EfficientNetB0", 224, _TORCH, 0.771),
        Application("EfficientNetB1", 240, _TORCH, 0.791),
        Application("EfficientNetB2", 260, _TORCH, 0.801),
        Application("EfficientNetB3", 300, _TORCH, 0.816),
        Application("EfficientNetB4", 380, _TORCH, 0.829),
        Application("EfficientNetB5", 456, _TORCH, 0.836),
        Application("EfficientNetB6", 528, _TORCH, 0.840),
        Application("EfficientNetB7", 600, _TORCH, 0.843),
        Application("EfficientNetV2B0", 224, _TORCH, 0.787),
        Application("EfficientNetV2B1", 240, _TORCH, 0.798),
        Application("EfficientNetV2B2", 260, _TORCH, 0.805),
        Application("EfficientNetV2B3", 300, _TORCH, 0.820),
        Application("EfficientNetV2S", 384, _V2, 0.839),
        Application("EfficientNetV2M", 480, _V2, 0.853),
        Application("EfficientNetV2L", 480, _V2, 0.857),
        Application("InceptionResNetV2", 299, _TF, 0.803, 75),
        Application("InceptionV3", 299, _TF, 0.779, 75),
        Application("MobileNet", 224, _TF, 0.704),
        Application("MobileNetV2", 224, _TF, 0.713),
        Application("MobileNetV3Large", 224, _TF, None),
        Application("MobileNetV3Small", 224, _TF, None),
        Application("NASNetLarge", 331, _TF, 0.825),
        Application("NASNetMobile", 224, _TF, 0.744),
        Application("ResNet50", 224, _CAFFE, 0.749),
        Application("ResNet50V2", 224, _TF, 0.760),
        Application("ResNet101", 224, _CAFFE, 0.764),
        Application("ResNet101V2", 224, _TF, 0.772),
        Application("ResNet152", 224, _CAFFE, 0.766),
        Application("ResNet152V2", 224, _TF, 0.780),
        Application("VGG16", 224, _CAFFE, 0.713),
        Application("VGG19", 224, _CAFFE, 0.713),
        Application("Xception", 299, _TF, 0.790, 71),
    )
}

# Layers with weights above the last maps, or in front of the first layer, that a file may hold.
# ResNet50's last one had three names in as many releases.
_TOPS = ("predictions", "probs", "fc1000", "fc1", "fc2", "conv_preds", "conv_2", "logits")


def ignored_layers(name: str) -> frozenset[str]:
    """Layers that a file of weights for the application `name` may have beside those we need."""
    if name.startswith("convnext"):
        base = name.replace("convnext", "convnext_")
        return frozenset({f"{base}_head_layernorm", f"{base}_head_dense", "normalization"})
    return frozenset({*_TOPS, "normalization"})


def build_application(
    name: str, size_px: int, pretrained: bool, keras: ModuleType
) -> tuple[Any, frozenset[str]]:
    """The application up to its last maps, with zeros for weights, or with those of ImageNet.

    Its kernels are for photos in RGB, and it is made of built-in layers with fixed names. Also
    returned: the names of the networks that Keras builds it from, if any.
    """
    entry = APPLICATIONS[name]
    if size_px < entry.smallest_px:
        raise UserError(
            f"{name} needs photos of at least {entry.smallest_px} pixels, got {size_px}."
        )
    original = _original(entry, name, size_px, pretrained, keras)
    photos = keras.Input((size_px, size_px, 3), name="photos")
    first, scale, offset = entry.scaling
    scaled = keras.layers.Rescaling(scale, offset=offset, name=first)(photos)
    graph = _describe(name, original)
    model = keras.Model(photos, rebuild(keras, graph, scaled)[graph.output], name=name)
    if pretrained:
        arrays = weights_of(original)
        assign(model, {layer.name: arrays.get(layer.name, []) for layer in model.layers})
        if first == CAFFE:
            reverse_first_kernel(model)
    return model, containers_of(graph)


def reverse_first_kernel(model: Any) -> None:
    """Reverse its input channels: from blue, green, red to red, green, blue, or back."""
    layer = next(layer for layer in model.layers if layer.weights)
    kernel, *rest = layer.get_weights()
    layer.set_weights([kernel[:, :, ::-1, :], *rest])


def _describe(name: str, original: Any) -> Graph:
    try:
        described = describe({"class_name": "Functional", "config": original.get_config()})
        return with_zeros(without_preprocessing(described))
    except NotDescribed as error:
        raise UserError(f"{name} of this Keras is not known here: {error}.") from None


def _original(
    entry: Application, name: str, size_px: int, pretrained: bool, keras: ModuleType
) -> Any:
    function = getattr(keras.applications, entry.function)
    options: dict[str, Any] = {"include_top": False, "input_shape": (size_px, size_px, 3)}
    if "include_preprocessing" in signature(function).parameters:
        options["include_preprocessing"] = False  # it is our first layer, as of all the others
    if not pretrained:
        return function(weights=None, **options)
    with download(
        f"Keras could not download the ImageNet weights of {name}",
        f"Without a network, give the file: `features.weights: path/to/{name}.h5`.",
    ):
        return function(weights="imagenet", **options)


@contextlib.contextmanager
def download(failed: str, mend: str) -> Iterator[None]:
    """Context of a download: any error in it becomes one line, `failed (reason). mend`."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_S)
    try:
        # Keras writes its progress to stdout, which belongs to the caller's output.
        with contextlib.redirect_stdout(sys.stderr):
            yield
    # Keras raises a bare Exception when a download fails.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{failed} ({reason[:200]}). {mend}") from None
    finally:
        socket.setdefaulttimeout(timeout)
