"""How each kind of layer is written in ONNX: maps are (n, channels, h, w) there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from carbrand.network.inference.onnx_file import Attribute
from carbrand.network.weights.network_file import Layer

if TYPE_CHECKING:
    from carbrand.network.inference.onnx_network import Graph

# Height and width of maps; their number of tokens; () of vectors.
Size = tuple[int, ...]

# An operator on what came before, with numbers as its further inputs (None: what came before all
# of these), and its attributes.
Step = tuple[str, tuple[float | None, ...], Mapping[str, Attribute]]
_SILU: tuple[Step, ...] = (("Sigmoid", (), {}), ("Mul", (None,), {}))
_HARD_SILU: tuple[Step, ...] = (("HardSwish", (), {}),)
ACTIVATIONS: Mapping[str, Sequence[Step]] = {
    "linear": (),
    "relu": (("Relu", (), {}),),
    "relu6": (("Clip", (0.0, 6.0), {}),),
    "leaky_relu": (("LeakyRelu", (), {"alpha": 0.2}),),
    "elu": (("Elu", (), {"alpha": 1.0}),),
    "selu": (("Selu", (), {}),),
    # x / 2 * (1 + erf(x / sqrt(2)))
    "gelu": (
        ("Mul", (math.sqrt(0.5),), {}),
        ("Erf", (), {}),
        ("Add", (1.0,), {}),
        ("Mul", (None,), {}),
        ("Mul", (0.5,), {}),
    ),
    "silu": _SILU,
    "swish": _SILU,
    "hard_silu": _HARD_SILU,
    "hard_swish": _HARD_SILU,
    "hard_sigmoid": (("HardSigmoid", (), {"alpha": 1 / 6, "beta": 0.5}),),
    "sigmoid": (("Sigmoid", (), {}),),
    "tanh": (("Tanh", (), {}),),
    "softplus": (("Softplus", (), {}),),
    "softsign": (("Softsign", (), {}),),
    "exponential": (("Exp", (), {}),),
    "softmax": (("Softmax", (), {}),),
}
# Layers that read several others.
JOINING = (
    *("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate"),
    "MultiHeadAttention",
)


def tensor(layer: str) -> str:
    """What the output of a layer is called: layers may be named like inputs and outputs."""
    return f"layer/{layer}"


def _by_channel(size: Size) -> tuple[int, ...]:
    return (1, -1, 1, 1) if size else (1, -1)


def _rescaling(graph: Graph, layer: Layer, size: Size) -> None:
    scale, offset = (
        graph.constant(layer, key, np.reshape(layer.settings[key], _by_channel(size)))
        for key in ("scale", "offset")
    )
    scaled = f"{tensor(layer.name)}/scaled"
    graph.add("Mul", [tensor(layer.inputs[0]), scale], scaled)
    graph.add("Add", [scaled, offset], tensor(layer.name))


def _zero_padding(graph: Graph, layer: Layer, size: Size) -> Size:
    (top, bottom), (left, right) = layer.settings["padding"]
    if min(top, bottom, left, right) < 0:
        raise ValueError("a padding is negative")
    height, width = size
    pads = [0, 0, top, left, 0, 0, bottom, right]
    graph.add_layer(layer, "Pad", graph.constant(layer, "pads", pads, np.int64), mode="constant")
    return height + top + bottom, width + left + right


def _conv(graph: Graph, layer: Layer, size: Size) -> Size:
    kernel = layer.weights["kernel"].transpose(3, 2, 0, 1)  # (filters, channels, h, w)
    return _convolve(graph, layer, kernel, size, groups=layer.settings["groups"])


def _depthwise_conv(graph: Graph, layer: Layer, size: Size) -> Size:
    height, width, channels, multiplier = layer.weights["kernel"].shape
    kernel = layer.weights["kernel"].transpose(2, 3, 0, 1)
    kernel = kernel.reshape(channels * multiplier, 1, height, width)
    return _convolve(graph, layer, kernel, size, groups=channels)


def _convolve(graph: Graph, layer: Layer, kernel: np.ndarray, size: Size, groups: int) -> Size:
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


def _batch_norm(graph: Graph, layer: Layer, _size: Size) -> None:
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


def _relu(graph: Graph, layer: Layer, _size: Size) -> None:
    settings = layer.settings
    if settings["negative_slope"] or settings["threshold"]:
        raise ValueError("a ReLU of this kind is not known")
    if settings["max_value"] is None:
        graph.add_layer(layer, "Relu")
        return
    lowest = graph.constant(layer, "min", 0.0)
    highest = graph.constant(layer, "max", float(settings["max_value"]))
    graph.add_layer(layer, "Clip", lowest, highest)


def _leaky_relu(graph: Graph, layer: Layer, _size: Size) -> None:
    graph.add_layer(layer, "LeakyRelu", alpha=float(layer.settings["negative_slope"]))


def _elu(graph: Graph, layer: Layer, _size: Size) -> None:
    graph.add_layer(layer, "Elu", alpha=float(layer.settings["alpha"]))


def _layer_norm(graph: Graph, layer: Layer, size: Size) -> None:
    """Over the channels of each place: (x - mean) / sqrt(variance + epsilon) * gamma + beta."""
    name = tensor(layer.name)
    axes = graph.constant(layer, "axes", [1], np.int64)
    epsilon = graph.constant(layer, "epsilon", layer.settings["epsilon"])
    mean = graph.add("ReduceMean", [tensor(layer.inputs[0]), axes], f"{name}/mean", keepdims=1)
    centred = graph.add("Sub", [tensor(layer.inputs[0]), mean], f"{name}/centred")
    squares = graph.add("Mul", [centred, centred], f"{name}/squares")
    variance = graph.add("ReduceMean", [squares, axes], f"{name}/variance", keepdims=1)
    steady = graph.add("Add", [variance, epsilon], f"{name}/steady")
    deviation = graph.add("Sqrt", [steady], f"{name}/deviation")
    x = graph.add("Div", [centred, deviation], f"{name}/normal")
    for key, operator in (("gamma", "Mul"), ("beta", "Add")):
        if key in layer.weights:
            values = graph.constant(layer, key, layer.weights[key].reshape(_by_channel(size)))
            x = graph.add(operator, [x, values], f"{name}/times_{key}")
    graph.add("Identity", [x], name)


def _pooling(operator: str, **options: Attribute) -> Callable[[Graph, Layer, Size], Size]:
    def pool(graph: Graph, layer: Layer, size: Size) -> Size:
        windows, size_after = _windows(layer, size, layer.settings["pool_size"], (1, 1))
        graph.add_layer(layer, operator, **windows, **options)
        return size_after

    return pool


def _global_pooling(operator: str) -> Callable[[Graph, Layer, Size], Size]:
    def pool(graph: Graph, layer: Layer, _size: Size) -> Size:
        axes = graph.constant(layer, "axes", [2, 3], np.int64)
        graph.add_layer(layer, operator, axes, keepdims=0)
        return ()

    return pool


def _joining(operator: str, most: int | None = 2) -> Callable[[Graph, Layer, Size], Size]:
    """Element by element; a map of one cell is taken for a whole one."""

    def join(graph: Graph, layer: Layer, _size: Size) -> Size:
        sizes = [graph.sizes[name] for name in layer.inputs]
        if len(sizes) < 2 or (most and len(sizes) > most) or len({len(s) for s in sizes}) > 1:
            raise ValueError("it reads layers that do not fit together")
        graph.add_layer(layer, operator)
        return max(sizes)

    return join


def _add(graph: Graph, layer: Layer, size: Size) -> Size:
    # ONNX adds two.
    return _joining("Add" if len(layer.inputs) == 2 else "Sum", None)(graph, layer, size)


def _dense(graph: Graph, layer: Layer, size: Size) -> None:
    kernel = layer.weights["kernel"]
    if not size:
        graph.add_layer(layer, "Gemm", *graph.weights(layer, kernel=kernel))
    else:  # of every cell: a convolution of one
        graph.add_layer(layer, "Conv", *graph.weights(layer, kernel=kernel.T[:, :, None, None]))


def _separable_conv(graph: Graph, layer: Layer, size: Size) -> Size:
    height, width, channels, multiplier = layer.weights["depthwise_kernel"].shape
    kernel = layer.weights["depthwise_kernel"].transpose(2, 3, 0, 1)
    kernel = kernel.reshape(channels * multiplier, 1, height, width)
    dilations = layer.settings["dilation_rate"]
    windows, size_after = _windows(layer, size, (height, width), dilations)
    inputs = [tensor(layer.inputs[0]), graph.constant(layer, "depthwise_kernel", kernel)]
    options = {"group": channels, "dilations": dilations, **windows}
    x = graph.add("Conv", inputs, f"{tensor(layer.name)}/depthwise", **options)
    pointwise = layer.weights["pointwise_kernel"].transpose(3, 2, 0, 1)
    weights = graph.weights(layer, pointwise_kernel=pointwise)
    graph.add_activated(layer, "Conv", [x, *weights], tensor(layer.name), {})
    return size_after


def _cropping(graph: Graph, layer: Layer, size: Size) -> Size:
    (top, bottom), (left, right) = layer.settings["cropping"]
    (height, width), sides = size, (top, bottom, left, right)
    if min(sides) < 0 or top + bottom >= height or left + right >= width:
        raise ValueError("nothing is left")
    ends = [height - bottom, width - right]
    numbers = {"starts": [top, left], "ends": ends, "axes": [2, 3]}
    graph.add_layer(
        layer, "Slice", *(graph.constant(layer, key, n, np.int64) for key, n in numbers.items())
    )
    return ends[0] - top, ends[1] - left


def _concatenate(graph: Graph, layer: Layer, size: Size) -> None:
    if {graph.sizes[name] for name in layer.inputs} != {size}:
        raise ValueError("it joins maps of different sizes")
    graph.add_layer(layer, "Concat", axis=1)


LAYERS: Mapping[str, Callable[[Graph, Layer, Size], Size | None]] = {
    "Rescaling": _rescaling,
    "ZeroPadding2D": _zero_padding,
    "Cropping2D": _cropping,
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise_conv,
    "SeparableConv2D": _separable_conv,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Activation": lambda graph, layer, _size: graph.add_layer(layer, "Identity"),
    "Add": _add,
    "Subtract": _joining("Sub"),
    "Multiply": _joining("Mul"),
    "Maximum": _joining("Max", None),
    "Minimum": _joining("Min", None),
    "Average": _joining("Mean", None),
    "MaxPooling2D": _pooling("MaxPool"),
    "AveragePooling2D": _pooling("AveragePool", count_include_pad=0),
    "GlobalAveragePooling2D": _global_pooling("ReduceMean"),
    "GlobalMaxPooling2D": _global_pooling("ReduceMax"),
    "Concatenate": _concatenate,
    "Dense": _dense,
}
