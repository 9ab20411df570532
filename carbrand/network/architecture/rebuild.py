"""From a described network to a Keras model of built-in layers, and its weights.

Nothing in a description is executed: a layer is looked up in KINDS, and is made of numbers and
names of Keras's own functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.network.architecture.keras_graph import Graph, Node, NotDescribed, renumber

# The only EinsumDense: each channel of tokens times a weight, plus an array as the bias.
ADDED = "bnd,d->bnd"
KINDS = frozenset(
    {
        *("Rescaling", "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Reshape", "Flatten"),
        *("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "Dense"),
        *("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization"),
        *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
        *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"),
        *("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
        # Of transformers, on tokens (n, tokens, channels).
        *("ZeroPadding1D", "Cropping1D", "RepeatVector", "EinsumDense", "MultiHeadAttention"),
    }
)
# Settings that must have one of these values; the first one is the default.
REQUIRED_SETTINGS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "EinsumDense": {"equation": (ADDED,), "bias_axes": ("nd", None)},
    "MultiHeadAttention": {
        **{"output_shape": (None,), "attention_axes": (None, [1])},
        **{"use_gate": (False,), "sliding_window": (None,)},
    },
}
# A layer that makes more than it reads gives at most so many numbers, 1 GB: files may be hostile.
_MOST_NUMBERS = 2**28
_GROWING = ("ZeroPadding1D", "ZeroPadding2D", "UpSampling2D", "RepeatVector")
_ACTIVATIONS = frozenset(
    {
        *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish"),
        *("hard_silu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh", "softplus", "softsign"),
        *("softmax", "mish", "exponential", "log_softmax", "hard_tanh", "tanh_shrink"),
    }
)


def rebuild(keras: ModuleType, graph: Graph, photos: Any, most: float = math.inf) -> dict[str, Any]:
    """The outputs of all layers by name, where `photos` (n, h, w, 3) go into the network.

    A layer of more than `most` weights is refused. Raises NotDescribed.
    """
    outputs = {graph.photos: photos}
    for node in graph.nodes:
        if node.name == graph.photos:
            continue
        inputs = [outputs[name] for name in node.inputs]
        layer = _make_layer(keras, node)
        if _weights(node, inputs) > most:
            raise NotDescribed(f"{node.name} needs more weights than the file can hold")
        try:
            outputs[node.name] = _call(layer, node, inputs)
            numbers = _numbers(node, inputs, outputs[node.name])
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise NotDescribed(f"{node.name} cannot be built ({_first_line(error)})") from None
        if numbers > _MOST_NUMBERS:
            raise NotDescribed(f"{node.name} makes more numbers than fit into memory")
    return outputs


def _call(layer: Any, node: Node, inputs: Sequence[Any]) -> Any:
    if node.kind != "MultiHeadAttention":
        return layer(inputs if len(inputs) > 1 else inputs[0])
    if not 2 <= len(inputs) <= 3 or {len(tensor.shape) for tensor in inputs} != {3}:
        raise ValueError("it reads no query, value and key (n, tokens, channels)")
    return layer(*inputs)  # query, value, and key


def _make_layer(keras: ModuleType, node: Node) -> Any:
    if node.kind not in KINDS:
        raise NotDescribed(f"{node.name} is a {node.kind}, which is not known here")
    activation = node.settings.get("activation") or "linear"
    if activation not in _ACTIVATIONS:
        raise NotDescribed(f"{node.name} has an activation that is not known here")
    for setting, values in REQUIRED_SETTINGS.get(node.kind, {}).items():
        if node.settings.get(setting, values[0]) not in values:
            raise NotDescribed(f"{node.name} has another {setting} than is known here")
    settings = dict(node.settings) | {"name": node.name, "dtype": "float32"}
    try:
        return getattr(keras.layers, node.kind).from_config(settings)
    except (ValueError, TypeError, AttributeError) as error:
        raise NotDescribed(f"{node.name} cannot be built ({_first_line(error)})") from None


def _weights(node: Node, inputs: Sequence[Any]) -> int:
    """How many weights the kernel of a layer has, at most."""
    kernel = node.settings.get("kernel_size") or 1
    outputs = node.settings.get("filters") or node.settings.get("units") or 1
    try:
        if node.kind == "MultiHeadAttention":
            widths = [node.settings["key_dim"], node.settings.get("value_dim") or 1]
            outputs = node.settings["num_heads"] * max(widths)
        if node.kind == "EinsumDense":  # its bias
            return math.prod(node.settings["output_shape"])
        sides = math.prod(kernel if isinstance(kernel, list | tuple) else [kernel] * 2)
        channels = max(int(tensor.shape[-1] or 1) for tensor in inputs)
        return int(sides * outputs * channels * (node.settings.get("depth_multiplier") or 1))
    except (TypeError, ValueError, OverflowError, KeyError):
        raise NotDescribed(f"{node.name} has sizes that are no numbers") from None


def _numbers(node: Node, inputs: Sequence[Any], output: Any) -> int:
    """How many numbers a layer makes of one photo, where that is not bound by its weights."""
    if node.kind == "MultiHeadAttention":  # a score of each token for each
        return int(inputs[0].shape[1] * inputs[1].shape[1] * node.settings["num_heads"])
    return math.prod(output.shape[1:]) if node.kind in _GROWING else 0


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def assign(model: Any, arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Set the weights of all layers from arrays by layer, in Keras's order."""
    for layer in model.layers:
        for weight, value in zip(layer.weights, arrays.get(layer.name, ()), strict=True):
            weight.assign(np.reshape(value, weight.shape))


def weights_of(model: Any) -> dict[str, list[np.ndarray]]:
    """The arrays of a model's layers, and of networks in it, under the names of `describe`."""
    found: dict[str, list[np.ndarray]] = {}
    _collect(model, found)
    new = renumber(found)
    return {new[name]: arrays for name, arrays in found.items()}


def _collect(model: Any, found: dict[str, list[np.ndarray]]) -> None:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            _collect(layer, found)
        else:
            found[layer.name] = layer.get_weights()


def expected_shapes(model: Any) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of the weights of the layers that have any."""
    return {
        layer.name: [tuple(weight.shape) for weight in layer.weights]
        for layer in model.layers
        if layer.weights
    }


def containers_of(graph: Graph) -> frozenset[str]:
    """The names of the networks in the network."""
    return frozenset(node.within for node in graph.nodes if node.within)


def with_zeros(graph: Graph) -> Graph:
    """The graph whose kernels start as zeros: random numbers that are replaced would cost time."""
    zeros = {"kernel_initializer": "zeros"}
    spread = {"depthwise_initializer": "zeros"}
    both = spread | {"pointwise_initializer": "zeros"}
    by_kind = {"DepthwiseConv2D": spread, "SeparableConv2D": both}
    by_kind |= dict.fromkeys(("Conv2D", "Dense", "EinsumDense", "MultiHeadAttention"), zeros)
    nodes = [replace(n, settings={**n.settings, **by_kind.get(n.kind, {})}) for n in graph.nodes]
    return replace(graph, nodes=tuple(nodes))
