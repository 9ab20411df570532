"""A network of ours as ONNX: the same layers, in operators that every runtime has.

OpenVINO reads it from memory, and `carbrand export` writes it to a file. It is translated from the
layers themselves: the converters of OpenVINO and Keras need TensorFlow, whose import takes longer
than a hundred photos, and Keras's exporter to ONNX also tf2onnx, which is hardly maintained.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from carbrand.network.inference import onnx_file
from carbrand.network.inference.onnx_file import Attribute
from carbrand.network.inference.onnx_layers import ACTIVATIONS, JOINING, LAYERS, Size, tensor
from carbrand.network.inference.onnx_tokens import (
    MOST_CELLS,
    SHAPING,
    TO_CHANNELS_FIRST,
    TO_CHANNELS_LAST,
    TOKEN_LAYERS,
)
from carbrand.network.weights.network_file import Layer, NetworkFile, NotANetwork

# Names in a file that is exported.
INPUT, OUTPUT = "photos", "probabilities"
_TRANSLATION_ERRORS = (LookupError, TypeError, ValueError, ArithmeticError)


def for_one_photo(network: NetworkFile, outputs: Sequence[str]) -> bytes:
    """The network from one photo (1, h, w, 3) uint8 to the outputs of the layers `outputs`.

    Those are maps (1, h, w, channels), tokens (1, tokens, channels) or vectors (1, d), float32.
    Raises NotANetwork.
    """
    graph = Graph(network)
    results = []
    for position, name in enumerate(outputs):
        output = f"output/{position}"
        if len(graph.sizes[name]) == 2:
            graph.add("Transpose", [tensor(name)], output, perm=TO_CHANNELS_LAST)
        else:
            graph.add("Identity", [tensor(name)], output)
        results.append(onnx_file.value(output, "float32", None))
    photo = onnx_file.value(INPUT, "uint8", (1, *network.input_shape))
    return onnx_file.model(graph.nodes, graph.constants, [photo], results, {})


def for_export(network: NetworkFile, metadata: Mapping[str, Any]) -> bytes:
    """The network from `photos` (n, h, w, 3) float32 in 0…255 to `probabilities` (n, brands).

    `metadata` goes into the file, each value as JSON. Raises NotANetwork.
    """
    graph = Graph(network)
    graph.add("Identity", [tensor(network.output)], OUTPUT)
    brands = len(network.layers[network.output].weights["bias"])
    photos = onnx_file.value(INPUT, "float32", ("n", *network.input_shape))
    probabilities = onnx_file.value(OUTPUT, "float32", ("n", brands))
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}
    return onnx_file.model(graph.nodes, graph.constants, [photos], [probabilities], texts)


@dataclass
class Graph:
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
        if len(layer.inputs) != 1 and layer.kind not in JOINING:
            raise ValueError(f"it reads {len(layer.inputs)} layers")
        size = self.sizes[layer.inputs[0]]
        known = {**(TOKEN_LAYERS if len(size) == 1 else LAYERS), **SHAPING}
        if layer.kind not in known:
            raise ValueError(f"{layer.kind} is not translated")
        size_after = known[layer.kind](self, layer, size)
        self.sizes[layer.name] = size if size_after is None else size_after
        if math.prod(self.sizes[layer.name]) > MOST_CELLS:
            raise ValueError("its output does not fit into memory")

    def _translate_input(self, layer: Layer) -> None:
        to = onnx_file.DATA_TYPES["float32"]
        numbers = self.add("Cast", [INPUT], f"{tensor(layer.name)}/numbers", to=to)
        self.add("Transpose", [numbers], tensor(layer.name), perm=TO_CHANNELS_FIRST)
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
        inputs, output = [*map(tensor, layer.inputs), *constants], tensor(layer.name)
        self.add_activated(layer, operator, inputs, output, attributes)

    def add_activated(
        self,
        layer: Layer,
        operator: str,
        inputs: Sequence[str],
        output: str,
        attributes: Mapping[str, Attribute],
    ) -> None:
        """A node, and the activation of its layer after it."""
        activation = layer.settings.get("activation", "linear")
        if activation not in ACTIVATIONS:
            raise ValueError(f"the activation {activation} is not known")
        if activation == "softmax" and self.sizes[layer.inputs[0]]:
            raise ValueError("softmax on maps is not known")
        steps = ACTIVATIONS[activation]
        linear = f"{output}/linear" if steps else output
        before = x = self.add(operator, inputs, linear, **attributes)
        for place, (operator, numbers, attributes) in enumerate(steps, 1):
            others = [
                before if number is None else self.constant(layer, f"{place}/{n}", number)
                for n, number in enumerate(numbers)
            ]
            after = output if place == len(steps) else f"{output}/{place}"
            x = self.add(operator, [x, *others], after, **attributes)

    def constant(self, layer: Layer, name: str, values: Any, dtype: Any = np.float32) -> str:
        """An array in the file, whose name is returned."""
        full_name = f"{tensor(layer.name)}/{name}"
        self.constants.append(onnx_file.constant(full_name, np.asarray(values, dtype)))
        return full_name

    def weights(self, layer: Layer, **arrays: np.ndarray) -> list[str]:
        """The names of these arrays, and of the bias where the layer has one."""
        if "bias" in layer.weights:
            arrays["bias"] = layer.weights["bias"]
        return [self.constant(layer, name, values) for name, values in arrays.items()]
