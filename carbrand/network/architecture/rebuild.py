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

KINDS = frozenset(
    {
        *("Rescaling", "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Reshape", "Flatten"),
        *("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "Dense"),
        *("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization"),
        *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
        *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"),
        *("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
    }
)
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
            outputs[node.name] = layer(inputs if len(inputs) > 1 else inputs[0])
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise NotDescribed(f"{node.name} cannot be built ({_first_line(error)})") from None
    return outputs


def _make_layer(keras: ModuleType, node: Node) -> Any:
    if node.kind not in KINDS:
        raise NotDescribed(f"{node.name} is a {node.kind}, which is not known here")
    activation = node.settings.get("activation") or "linear"
    if activation not in _ACTIVATIONS:
        raise NotDescribed(f"{node.name} has an activation that is not known here")
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
        sides = math.prod(kernel if isinstance(kernel, list | tuple) else [kernel] * 2)
        channels = max(int(tensor.shape[-1] or 1) for tensor in inputs)
        return int(sides * outputs * channels * (node.settings.get("depth_multiplier") or 1))
    except (TypeError, ValueError, OverflowError):
        raise NotDescribed(f"{node.name} has sizes that are no numbers") from None


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
    by_kind = {"Conv2D": zeros, "Dense": zeros, "DepthwiseConv2D": spread, "SeparableConv2D": both}
    nodes = [replace(n, settings={**n.settings, **by_kind.get(n.kind, {})}) for n in graph.nodes]
    return replace(graph, nodes=tuple(nodes))
