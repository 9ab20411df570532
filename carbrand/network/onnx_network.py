"""A network of ours as ONNX: the same layers, in operators that every runtime has.

OpenVINO reads it from memory, and `carbrand export` writes it to a file. It is translated from the
layers themselves: the converters of OpenVINO and Keras need TensorFlow, whose import takes longer
than a hundred photos, and Keras's exporter to ONNX also tf2onnx, which is hardly maintained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from carbrand.network import onnx_file
from carbrand.network.network_file import Layer, NetworkFile, NotANetwork
from carbrand.network.onnx_file import Attribute

# Names in a file that is exported.
INPUT, OUTPUT = "photos", "probabilities"
# Batch, height, width, channels to batch, channels, height, width, and back.
_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
_ACTIVATIONS = {"linear": "Identity", "relu": "Relu", "softmax": "Softmax"}
_TRANSLATION_ERRORS = (LookupError, TypeError, ValueError, ArithmeticError)

# Height and width of maps; () of vectors.
Size = tuple[int, ...]


def for_one_photo(network: NetworkFile, outputs: Sequence[str]) -> bytes:
    """The network from one photo (1, h, w, 3) uint8 to the outputs of the layers `outputs`.

    Those are maps (1, h, w, channels) or vectors (1, d), float32. Raises NotANetwork.
    """
    graph = _Graph(network)
    results = []
    for position, name in enumerate(outputs):
        output = f"output/{position}"
        if graph.sizes[name]:
            graph.add("Transpose", [_tensor(name)], output, perm=_TO_CHANNELS_LAST)
        else:
            graph.add("Identity", [_tensor(name)], output)
        results.append(onnx_file.value(output, "float32", None))
    photo = onnx_file.value(INPUT, "uint8", (1, *network.input_shape))
    return onnx_file.model(graph.nodes, graph.constants, [photo], results, {})


def for_export(network: NetworkFile, metadata: Mapping[str, Any]) -> bytes:
    """The network from `photos` (n, h, w, 3) float32 in 0…255 to `probabilities` (n, brands).

    `metadata` goes into the file, each value as JSON. Raises NotANetwork.
    """
    graph = _Graph(network)
    graph.add("Identity", [_tensor(network.output)], OUTPUT)
    brands = len(network.layers[network.output].weights["bias"])
    photos = onnx_file.value(INPUT, "float32", ("n", *network.input_shape))
    probabilities = onnx_file.value(OUTPUT, "float32", ("n", brands))
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}
    return onnx_file.model(graph.nodes, graph.constants, [photos], [probabilities], texts)


def _tensor(layer: str) -> str:
    """What the output of a layer is called: layers may be named like inputs and outputs."""
    return f"layer/{layer}"


@dataclass
class _Graph:
    """All layers of a network as ONNX nodes; `sizes` are those of the layers' outputs."""

    network: NetworkFile
    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)
    sizes: dict[str, Size] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for layer in self.network.layers.values():
            try:
                self._translate(layer)
            except _TRANSLATION_ERRORS as error:
                raise NotANetwork(f"{layer.name}: {error}") from None

    def _translate(self, layer: Layer) -> None:
        if layer.kind == "InputLayer":
            self._translate_input(layer)
            return
        if len(layer.inputs) != 1 and layer.kind not in ("Add", "Concatenate"):
            raise ValueError(f"it reads {len(layer.inputs)} layers")
        size = self.sizes[layer.inputs[0]]
        size_after = _LAYERS[layer.kind](self, layer, size)
        self.sizes[layer.name] = size if size_after is None else size_after

    def _translate_input(self, layer: Layer) -> None:
        to = onnx_file.DATA_TYPES["float32"]
        numbers = self.add("Cast", [INPUT], f"{_tensor(layer.name)}/numbers", to=to)
        self.add("Transpose", [numbers], _tensor(layer.name), perm=_TO_CHANNELS_FIRST)
        self.sizes[layer.name] = self.network.input_shape[:2]

    def add(
        self, operator: str, inputs: Sequence[str], output: str, **attributes: Attribute
    ) -> str:
        """A node with one output, whose name is returned."""
        self.nodes.append(onnx_file.node(operator, inputs, output, attributes))
        return output

    def add_layer(
        self, layer: Layer, operator: str, *constants: str, **attributes: Attribute
    ) -> None:
        """The node that a layer is, and its activation; it reads `constants` last."""
        inputs, output = [*map(_tensor, layer.inputs), *constants], _tensor(layer.name)
        activation = layer.settings.get("activation", "linear")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"the activation {activation} is not known")
        if activation == "softmax" and self.sizes[layer.inputs[0]]:
            raise ValueError("softmax on maps is not known")
        if activation != "linear":
            inputs = [self.add(operator, inputs, f"{output}/linear", **attributes)]
            operator, attributes = _ACTIVATIONS[activation], {}
        self.add(operator, inputs, output, **attributes)

    def constant(self, layer: Layer, name: str, values: Any, dtype: Any = np.float32) -> str:
        """An array in the file, whose name is returned."""
        full_name = f"{_tensor(layer.name)}/{name}"
        self.constants.append(onnx_file.constant(full_name, np.asarray(values, dtype)))
        return full_name

    def weights(self, layer: Layer, **arrays: np.ndarray) -> list[str]:
        """The names of these arrays, and of the bias where the layer has one."""
        if "bias" in layer.weights:
            arrays["bias"] = layer.weights["bias"]
        return [self.constant(layer, name, values) for name, values in arrays.items()]


def _rescaling(graph: _Graph, layer: Layer, _size: Size) -> None:
    by_channel = (1, -1, 1, 1)
    scale, offset = (
        graph.constant(layer, key, np.reshape(layer.settings[key], by_channel))
        for key in ("scale", "offset")
    )
    scaled = f"{_tensor(layer.name)}/scaled"
    graph.add("Mul", [_tensor(layer.inputs[0]), scale], scaled)
    graph.add("Add", [scaled, offset], _tensor(layer.name))


def _zero_padding(graph: _Graph, layer: Layer, size: Size) -> Size:
    (top, bottom), (left, right) = layer.settings["padding"]
    if min(top, bottom, left, right) < 0:
        raise ValueError("a padding is negative")
    height, width = size
    pads = [0, 0, top, left, 0, 0, bottom, right]
    graph.add_layer(layer, "Pad", graph.constant(layer, "pads", pads, np.int64), mode="constant")
    return height + top + bottom, width + left + right


def _conv(graph: _Graph, layer: Layer, size: Size) -> Size:
    kernel = layer.weights["kernel"].transpose(3, 2, 0, 1)  # (filters, channels, h, w)
    return _convolve(graph, layer, kernel, size, groups=1)


def _depthwise_conv(graph: _Graph, layer: Layer, size: Size) -> Size:
    height, width, channels, multiplier = layer.weights["kernel"].shape
    kernel = layer.weights["kernel"].transpose(2, 3, 0, 1)
    kernel = kernel.reshape(channels * multiplier, 1, height, width)
    return _convolve(graph, layer, kernel, size, groups=channels)


def _convolve(graph: _Graph, layer: Layer, kernel: np.ndarray, size: Size, groups: int) -> Size:
    dilations = layer.settings["dilation_rate"]
    windows, size_after = _windows(layer, size, kernel.shape[2:], dilations)
    constants = graph.weights(layer, kernel=kernel)
    graph.add_layer(layer, "Conv", *constants, group=groups, dilations=dilations, **windows)
    return size_after


def _windows(
    layer: Layer, size: Size, kernel: Sequence[int], dilations: Sequence[int]
) -> tuple[dict[str, Attribute], Size]:
    """Attributes of a node that goes over maps in windows, and the size that comes out.

    Keras's `same` puts the odd row and column of padding at the bottom and the right; written in
    numbers, for the attribute for it is deprecated.
    """
    strides, padding = layer.settings["strides"], layer.settings["padding"]
    if padding not in ("same", "valid"):
        raise ValueError(f"the padding {padding} is not known")
    sizes_after, before, after = [], [], []
    for length, side, dilation, stride in zip(size, kernel, dilations, strides, strict=True):
        span = (side - 1) * dilation + 1
        length_after = -(-length // stride) if padding == "same" else (length - span) // stride + 1
        missing = max(0, (length_after - 1) * stride + span - length)  # 0 where it is valid
        sizes_after.append(length_after)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    attributes: dict[str, Attribute] = {"kernel_shape": kernel, "strides": strides}
    return attributes | {"pads": before + after}, tuple(sizes_after)


def _batch_norm(graph: _Graph, layer: Layer, _size: Size) -> None:
    weights = layer.weights
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    if (variance < 0).any():
        raise ValueError("a variance is negative")
    parts = {
        "gamma": weights.get("gamma", np.ones_like(mean)),
        "beta": weights.get("beta", np.zeros_like(mean)),
        "moving_mean": mean,
        "moving_variance": variance,
    }
    epsilon = float(layer.settings["epsilon"])
    graph.add_layer(layer, "BatchNormalization", *graph.weights(layer, **parts), epsilon=epsilon)


def _relu(graph: _Graph, layer: Layer, _size: Size) -> None:
    settings = layer.settings
    if settings["negative_slope"] or settings["threshold"]:
        raise ValueError("a ReLU of this kind is not known")
    if settings["max_value"] is None:
        graph.add_layer(layer, "Relu")
        return
    lowest = graph.constant(layer, "min", 0.0)
    highest = graph.constant(layer, "max", float(settings["max_value"]))
    graph.add_layer(layer, "Clip", lowest, highest)


def _max_pooling(graph: _Graph, layer: Layer, size: Size) -> Size:
    windows, size_after = _windows(layer, size, layer.settings["pool_size"], (1, 1))
    graph.add_layer(layer, "MaxPool", **windows)
    return size_after


def _global_pooling(operator: str) -> Callable[[_Graph, Layer, Size], Size]:
    def pool(graph: _Graph, layer: Layer, _size: Size) -> Size:
        axes = graph.constant(layer, "axes", [2, 3], np.int64)
        graph.add_layer(layer, operator, axes, keepdims=0)
        return ()

    return pool


def _add(graph: _Graph, layer: Layer, _size: Size) -> None:
    _first, _second = layer.inputs  # ONNX adds two
    graph.add_layer(layer, "Add")


def _dense(graph: _Graph, layer: Layer, _size: Size) -> None:
    graph.add_layer(layer, "Gemm", *graph.weights(layer, kernel=layer.weights["kernel"]))


_LAYERS: Mapping[str, Callable[[_Graph, Layer, Size], Size | None]] = {
    "Rescaling": _rescaling,
    "ZeroPadding2D": _zero_padding,
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise_conv,
    "BatchNormalization": _batch_norm,
    "ReLU": _relu,
    "Activation": lambda graph, layer, _size: graph.add_layer(layer, "Identity"),
    "Add": _add,
    "MaxPooling2D": _max_pooling,
    "GlobalAveragePooling2D": _global_pooling("ReduceMean"),
    "GlobalMaxPooling2D": _global_pooling("ReduceMax"),
    "Concatenate": lambda graph, layer, _size: graph.add_layer(layer, "Concat", axis=1),
    "Dense": _dense,
}
