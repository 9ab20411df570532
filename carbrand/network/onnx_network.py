"""A network of ours as ONNX: the same layers, in operators that every runtime has.

Written from the layers themselves: Keras's own exporter needs tf2onnx, which is hardly kept any
more, and traces TensorFlow's graph, of which a network of fourteen kinds of layers needs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.network.network_file import Layer, NetworkFile, NotANetwork

# Of 2022, and the first in which all reductions take their axes alike. Runtimes read older sets
# for ever, newer ones never.
OPSET, IR_VERSION = 18, 8
INPUT, OUTPUT = "photos", "probabilities"
# Before the names of layers, which may be those two.
_LAYER = "layer/"
Size = tuple[int, int]


def write_onnx(network: NetworkFile, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the network to `path`; the same network and metadata give the same bytes.

    Its input `photos` is (n, s, s, 3) float32 in 0…255, its output `probabilities` (n, brands).
    `metadata` goes into the file, each value as JSON. Raises NotANetwork.
    """
    import onnx

    model = _build(network, metadata)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _build(network: NetworkFile, metadata: Mapping[str, Any]) -> Any:
    from onnx import TensorProto, helper

    height, width, channels = network.input_shape
    graph = _Graph()
    for layer in network.layers.values():
        names = tuple(_LAYER + name for name in layer.inputs)
        try:
            graph.add_layer(replace(layer, name=_LAYER + layer.name, inputs=names), (height, width))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise NotANetwork(f"{layer.name}: {error}") from None
    graph.add("Identity", [_LAYER + network.output], OUTPUT)
    brands = len(network.layers[network.output].weights["bias"])
    photos = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", height, width, channels])
    probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", brands])
    onnx_graph = helper.make_graph(
        graph.nodes, "carbrand", [photos], [probabilities], graph.constants
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        onnx_graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="carbrand"
    )
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}
    helper.set_model_props(model, dict(sorted(texts.items())))
    return model


@dataclass
class _Graph:
    """Nodes as they come; `sizes` are those of the maps that a layer gives."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    sizes: dict[str, Size] = field(default_factory=dict)

    def add_layer(self, layer: Layer, photo_size: Size) -> None:
        """Whatever is needed for `layer`; its output is named as it is."""
        if layer.kind == "InputLayer":
            self.sizes[layer.name] = photo_size
            # Batch, height, width, channels to batch, channels, height, width.
            self.add("Transpose", [INPUT], layer.name, perm=(0, 3, 1, 2))
            return
        size = self.sizes[layer.inputs[0]]
        self.sizes[layer.name] = _LAYERS[layer.kind](self, layer, size) or size

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        from onnx import helper

        node = helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        self.nodes.append(node)
        return output

    def constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        """An array in the file, whose name is returned."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(np.asarray(values, dtype))
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def finish(self, layer: Layer, operator: str, inputs: list[str], **attributes: Any) -> None:
        """A node that may be followed by the activation of its layer."""
        name = layer.settings["activation"]
        if name == "linear":
            self.add(operator, inputs, layer.name, **attributes)
            return
        before = self.add(operator, inputs, f"{layer.name}/linear", **attributes)
        _activate(self, name, before, layer.name)


def _activate(graph: _Graph, name: str, x: str, output: str) -> None:
    if name == "relu":
        graph.add("Relu", [x], output)
    elif name == "softmax":
        graph.add("Softmax", [x], output, axis=1)
    elif name == "linear":
        graph.add("Identity", [x], output)
    else:
        raise ValueError(f"the activation {name} is not known")


def _rescaling(graph: _Graph, layer: Layer, _size: Size) -> None:
    by_channel = (1, -1, 1, 1)
    values = {key: np.reshape(layer.settings[key], by_channel) for key in ("scale", "offset")}
    scale = graph.constant(f"{layer.name}/scale", values["scale"])
    offset = graph.constant(f"{layer.name}/offset", values["offset"])
    scaled = graph.add("Mul", [layer.inputs[0], scale], f"{layer.name}/scaled")
    graph.add("Add", [scaled, offset], layer.name)


def _zero_padding(graph: _Graph, layer: Layer, size: Size) -> Size:
    (top, bottom), (left, right) = layer.settings["padding"]
    pads = graph.constant(
        f"{layer.name}/pads", [0, 0, top, left, 0, 0, bottom, right], dtype=np.int64
    )
    graph.add("Pad", [layer.inputs[0], pads], layer.name, mode="constant")
    return size[0] + top + bottom, size[1] + left + right


def _conv(graph: _Graph, layer: Layer, size: Size) -> Size:
    kernel = layer.weights["kernel"].transpose(3, 2, 0, 1)  # (filters, channels, h, w)
    return _convolve(graph, layer, kernel, size, groups=1)


def _depthwise_conv(graph: _Graph, layer: Layer, size: Size) -> Size:
    height, width, channels, multiplier = layer.weights["kernel"].shape
    kernel = layer.weights["kernel"].transpose(2, 3, 0, 1)
    kernel = kernel.reshape(channels * multiplier, 1, height, width)
    return _convolve(graph, layer, kernel, size, groups=channels)


def _convolve(graph: _Graph, layer: Layer, kernel: np.ndarray, size: Size, groups: int) -> Size:
    inputs = [layer.inputs[0], graph.constant(f"{layer.name}/kernel", kernel)]
    if "bias" in layer.weights:
        inputs.append(graph.constant(f"{layer.name}/bias", layer.weights["bias"]))
    dilations = layer.settings["dilation_rate"]
    windows, size_after = _windows(layer, size, kernel.shape[2:], dilations)
    graph.finish(layer, "Conv", inputs, group=groups, dilations=dilations, **windows)
    return size_after


def _windows(
    layer: Layer, size: Size, kernel: Sequence[int], dilations: Sequence[int]
) -> tuple[dict[str, Any], Size]:
    """Attributes of a node that goes over maps in windows, and the size that comes out.

    Keras's `same` puts what is odd of the padding at the bottom and the right; runtimes are told
    so in numbers, for the attribute that says it is deprecated.
    """
    strides = layer.settings["strides"]
    spans = [(side - 1) * step + 1 for side, step in zip(kernel, dilations, strict=True)]
    axes = list(zip(size, spans, strides, strict=True))
    if layer.settings["padding"] == "valid":
        height, width = ((length - span) // stride + 1 for length, span, stride in axes)
        return {"kernel_shape": list(kernel), "strides": strides, "pads": [0] * 4}, (height, width)
    if layer.settings["padding"] != "same":
        raise ValueError(f"the padding {layer.settings['padding']} is not known")
    height, width = (-(-length // stride) for length, _, stride in axes)
    missing = [
        max(0, (out - 1) * stride + span - length)
        for out, (length, span, stride) in zip((height, width), axes, strict=True)
    ]
    before = [count // 2 for count in missing]
    after = [count - half for count, half in zip(missing, before, strict=True)]
    pads = [*before, *after]
    return {"kernel_shape": list(kernel), "strides": strides, "pads": pads}, (height, width)


def _batch_norm(graph: _Graph, layer: Layer, _size: Size) -> None:
    weights = layer.weights
    mean = weights["moving_mean"]
    parts = {
        "gamma": weights.get("gamma", np.ones_like(mean)),
        "beta": weights.get("beta", np.zeros_like(mean)),
        "moving_mean": mean,
        "moving_variance": weights["moving_variance"],
    }
    names = [graph.constant(f"{layer.name}/{key}", values) for key, values in parts.items()]
    epsilon = float(layer.settings["epsilon"])
    graph.add("BatchNormalization", [layer.inputs[0], *names], layer.name, epsilon=epsilon)


def _relu(graph: _Graph, layer: Layer, _size: Size) -> None:
    settings = layer.settings
    if settings["negative_slope"] or settings["threshold"]:
        raise ValueError("a ReLU of this kind is not known")
    if settings["max_value"] is None:
        graph.add("Relu", layer.inputs, layer.name)
        return
    lowest = graph.constant(f"{layer.name}/min", 0.0)
    highest = graph.constant(f"{layer.name}/max", settings["max_value"])
    graph.add("Clip", [layer.inputs[0], lowest, highest], layer.name)


def _activation(graph: _Graph, layer: Layer, _size: Size) -> None:
    _activate(graph, layer.settings["activation"], layer.inputs[0], layer.name)


def _max_pooling(graph: _Graph, layer: Layer, size: Size) -> Size:
    windows, size_after = _windows(layer, size, layer.settings["pool_size"], (1, 1))
    graph.add("MaxPool", layer.inputs, layer.name, **windows)
    return size_after


def _global(operator: str) -> Callable[[_Graph, Layer, Size], None]:
    def pool(graph: _Graph, layer: Layer, _size: Size) -> None:
        axes = graph.constant(f"{layer.name}/axes", [2, 3], dtype=np.int64)
        graph.add(operator, [layer.inputs[0], axes], layer.name, keepdims=0)

    return pool


def _add(graph: _Graph, layer: Layer, _size: Size) -> None:
    first, second = layer.inputs
    graph.add("Add", [first, second], layer.name)


def _concatenate(graph: _Graph, layer: Layer, _size: Size) -> None:
    graph.add("Concat", layer.inputs, layer.name, axis=1)


def _dense(graph: _Graph, layer: Layer, _size: Size) -> None:
    kernel = graph.constant(f"{layer.name}/kernel", layer.weights["kernel"])
    bias = graph.constant(f"{layer.name}/bias", layer.weights["bias"])
    graph.finish(layer, "Gemm", [layer.inputs[0], kernel, bias])


_LAYERS: Mapping[str, Callable[[_Graph, Layer, Size], Size | None]] = {
    "Rescaling": _rescaling,
    "ZeroPadding2D": _zero_padding,
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise_conv,
    "BatchNormalization": _batch_norm,
    "ReLU": _relu,
    "Activation": _activation,
    "Add": _add,
    "MaxPooling2D": _max_pooling,
    "GlobalAveragePooling2D": _global("ReduceMean"),
    "GlobalMaxPooling2D": _global("ReduceMax"),
    "Concatenate": _concatenate,
    "Dense": _dense,
}
