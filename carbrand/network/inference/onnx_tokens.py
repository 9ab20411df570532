"""How layers on tokens are written in ONNX: there they are (n, tokens, channels), as in Keras."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from carbrand.network.inference.onnx_layers import LAYERS, Size, tensor
from carbrand.network.weights.network_file import Layer

if TYPE_CHECKING:
    from carbrand.network.inference.onnx_network import Graph

# Batch, height, width, channels to batch, channels, height, width, and back.
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
# Of maps or tokens: files may be hostile.
MOST_CELLS = 2**28


def _reshape(graph: Graph, layer: Layer, size: Size) -> Size:
    """Numbers in Keras's order, channels last, in another shape."""
    name, target = tensor(layer.name), list(layer.settings["target_shape"])
    numbers = math.prod(size) * layer.channels
    if target.count(-1) == 1:
        target[target.index(-1)] = numbers // -math.prod(target)
    if math.prod(target) != numbers or min(target) < 1 or len(target) > 3:
        raise ValueError(f"it cannot be reshaped to {target}")
    x = tensor(layer.inputs[0])
    if len(size) == 2:
        x = graph.add("Transpose", [x], f"{name}/last", perm=TO_CHANNELS_LAST)
    shape = graph.constant(layer, "shape", [0, *target], np.int64)  # 0: the batch as it is
    after = f"{name}/reshaped" if len(target) == 3 else name
    graph.add("Reshape", [x, shape], after)
    if len(target) == 3:
        graph.add("Transpose", [after], name, perm=TO_CHANNELS_FIRST)
    return tuple(target[:-1])


def _repeat(graph: Graph, layer: Layer, size: Size) -> Size:
    """A vector as so many equal tokens."""
    if size:
        raise ValueError("it repeats what is no vector")
    name, times = tensor(layer.name), layer.settings["n"]
    axes = graph.constant(layer, "axes", [1], np.int64)
    token = graph.add("Unsqueeze", [tensor(layer.inputs[0]), axes], f"{name}/token")
    graph.add("Expand", [token, graph.constant(layer, "shape", [1, times, 1], np.int64)], name)
    return (times,)


def _rescaling(graph: Graph, layer: Layer, _size: Size) -> None:
    scale, offset = (graph.constant(layer, k, layer.settings[k]) for k in ("scale", "offset"))
    scaled = graph.add("Mul", [tensor(layer.inputs[0]), scale], f"{tensor(layer.name)}/scaled")
    graph.add("Add", [scaled, offset], tensor(layer.name))


def _zero_padding(graph: Graph, layer: Layer, size: Size) -> Size:
    before, after = layer.settings["padding"]
    if min(before, after) < 0:
        raise ValueError("a padding is negative")
    pads = graph.constant(layer, "pads", [0, before, 0, 0, after, 0], np.int64)
    graph.add_layer(layer, "Pad", pads, mode="constant")
    return (size[0] + before + after,)


def _cropping(graph: Graph, layer: Layer, size: Size) -> Size:
    before, after = layer.settings["cropping"]
    end = size[0] - after
    if min(before, after) < 0 or before >= end:
        raise ValueError("nothing is left")
    numbers = {"starts": [before], "ends": [end], "axes": [1]}
    graph.add_layer(
        layer, "Slice", *(graph.constant(layer, key, n, np.int64) for key, n in numbers.items())
    )
    return (end - before,)


def _scale_and_add(graph: Graph, layer: Layer, _size: Size) -> None:
    """An EinsumDense that multiplies each channel, and adds an array to the tokens."""
    scale, *added = graph.weights(layer, kernel=layer.weights["kernel"])
    scaled = graph.add("Mul", [tensor(layer.inputs[0]), scale], f"{tensor(layer.name)}/scaled")
    graph.add_activated(
        layer, "Add" if added else "Identity", [scaled, *added], tensor(layer.name), {}
    )


def _layer_norm(graph: Graph, layer: Layer, _size: Size) -> None:
    weights = layer.weights
    channels = len(next(iter(weights.values()))) if weights else layer.channels
    parts = [weights.get("gamma", np.ones(channels)), weights.get("beta", np.zeros(channels))]
    constants = [graph.constant(layer, str(number), part) for number, part in enumerate(parts)]
    epsilon = float(layer.settings["epsilon"])
    graph.add_layer(layer, "LayerNormalization", *constants, axis=-1, epsilon=epsilon)


def _dense(graph: Graph, layer: Layer, _size: Size) -> None:
    kernel, *bias = graph.weights(layer, kernel=layer.weights["kernel"])
    if not bias:
        graph.add_layer(layer, "MatMul", kernel)
        return
    name = tensor(layer.name)
    product = graph.add("MatMul", [tensor(layer.inputs[0]), kernel], f"{name}/product")
    graph.add_activated(layer, "Add", [product, *bias], name, {})


def _attention(graph: Graph, layer: Layer, size: Size) -> Size:
    """softmax(q k^T / sqrt(width)) v of each head (Vaswani et al. 2017, arXiv:1706.03762)."""
    query, value, *key = layer.inputs
    name, weights = tensor(layer.name), layer.weights
    _, heads, width = weights["query/kernel"].shape
    if heads * size[0] * graph.sizes[value][0] > MOST_CELLS:
        raise ValueError("its scores do not fit into memory")

    def project(source: str, part: str, axes: tuple[int, ...], scale: float = 1.0) -> str:
        """(n, tokens, channels) to heads and their widths, in the order `axes`."""
        kernel = weights[f"{part}/kernel"] * scale
        split = [0, 0, heads, kernel.shape[2]]
        bias = weights[f"{part}/bias"] * scale if f"{part}/bias" in weights else None
        x = multiply(part, tensor(source), kernel.reshape(len(kernel), -1), bias)
        shape = graph.constant(layer, f"{part}/shape", split, np.int64)
        x = graph.add("Reshape", [x, shape], f"{name}/{part}/split")
        return graph.add("Transpose", [x], f"{name}/{part}/heads", perm=axes)

    def multiply(part: str, x: str, kernel: np.ndarray, bias: np.ndarray | None) -> str:
        x = graph.add(
            "MatMul", [x, graph.constant(layer, f"{part}/kernel", kernel)], f"{name}/{part}/product"
        )
        if bias is None:
            return x
        added = graph.constant(layer, f"{part}/bias", bias.reshape(-1))
        return graph.add("Add", [x, added], f"{name}/{part}/sum")

    queries = project(query, "query", (0, 2, 1, 3), 1 / math.sqrt(width))
    keys = project(key[0] if key else value, "key", (0, 2, 3, 1))
    values = project(value, "value", (0, 2, 1, 3))
    scores = graph.add("MatMul", [queries, keys], f"{name}/scores")
    shares = graph.add("Softmax", [scores], f"{name}/shares", axis=-1)
    x = graph.add("MatMul", [shares, values], f"{name}/seen")
    x = graph.add("Transpose", [x], f"{name}/by_token", perm=(0, 2, 1, 3))
    x = graph.add(
        "Reshape", [x, graph.constant(layer, "shape", [0, 0, -1], np.int64)], f"{name}/joined"
    )
    kernel = weights["attention_output/kernel"]
    kernel = kernel.reshape(-1, kernel.shape[-1])
    x = multiply("attention_output", x, kernel, weights.get("attention_output/bias"))
    graph.add("Identity", [x], name)
    return size


def _concatenate(graph: Graph, layer: Layer, size: Size) -> None:
    if {graph.sizes[name] for name in layer.inputs} != {size}:
        raise ValueError("it joins tokens of different numbers")
    graph.add_layer(layer, "Concat", axis=2)


_Writer = Callable[["Graph", Layer, Size], Size | None]
# Of maps, vectors and tokens alike.
SHAPING: Mapping[str, _Writer] = {"Reshape": _reshape, "RepeatVector": _repeat}
# Element by element, so as those of maps.
_ALIKE = (
    *("Activation", "ReLU", "LeakyReLU", "ELU"),
    *("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average"),
)
TOKEN_LAYERS: Mapping[str, _Writer] = {
    **{kind: LAYERS[kind] for kind in _ALIKE},
    "Rescaling": _rescaling,
    "ZeroPadding1D": _zero_padding,
    "Cropping1D": _cropping,
    "EinsumDense": _scale_and_add,
    "LayerNormalization": _layer_norm,
    "Dense": _dense,
    "MultiHeadAttention": _attention,
    "Concatenate": _concatenate,
}
