"""Reader of networks in Keras .h5 files, without Keras: layers, connections and weights.

Keras, whose import takes seconds, is not needed to run a network. Only layers of KINDS and
UNTRANSLATED are read, so nothing else in a file is ever built.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.network.architecture import rebuild
from carbrand.network.weights.h5_file import (
    H5_ERRORS,
    open_h5,
    read_array,
    read_text,
    stored_layers,
)
from carbrand.node.errors import UserError

# These are not translated: Keras itself writes networks with them for OpenVINO.
UNTRANSLATED = frozenset(
    {
        *("UpSampling2D", "Conv2DTranspose", "GroupNormalization", "UnitNormalization", "PReLU"),
        *("Softmax", "Flatten"),
    }
)
KINDS = rebuild.KINDS - UNTRANSLATED | {"InputLayer"}
# Accepted values of settings, for layers that have them; the first one is the default.
_REQUIRED_SETTINGS = {
    "data_format": ("channels_last",),
    "keepdims": (False,),
    "axis": (-1, 3, [-1], [3]),  # channels
    "rms_scaling": (False,),
}


class NotANetwork(ValueError):
    """The file holds no network of known layers."""


@dataclass(frozen=True)
class Layer:
    """One layer: its class, names of its input layers, its config in Keras, and float32 weights.

    Weights have Keras's names (`kernel`, `gamma`, …; of attention `query/kernel`, …). channels: of
    its first input; 0 where it has none.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    channels: int
    settings: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class NetworkFile:
    """The layers by name in topological order; output: the last one's name; path: the file."""

    path: Path
    layers: Mapping[str, Layer]
    output: str

    @property
    def is_translated(self) -> bool:
        """Whether all its layers are of KINDS."""
        return all(layer.kind in KINDS for layer in self.layers.values())

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(height, width, 3) of a photo."""
        first = next(layer for layer in self.layers.values() if layer.kind == "InputLayer")
        return tuple(first.settings["batch_shape"][1:])


def read_network(path: Path) -> NetworkFile:
    """The network that Keras saved to `path`. Raises NotANetwork."""
    try:
        with open_h5(path) as file:
            config = json.loads(read_text(file, "model_config"))["config"]
            weights = {
                name: {d.name: read_array(path, name, d) for d in arrays}
                for name, arrays in stored_layers(path, file).items()
            }
        layers = {layer.name: layer for layer in _read_layers(config["layers"], weights)}
        network = NetworkFile(path, layers, _single_output(config["output_layers"], layers))
        _check_input(network)
    except (*H5_ERRORS, AttributeError, IndexError, StopIteration, UserError) as error:
        raise NotANetwork(f"{path}: {error}") from None
    return network


def _check_input(network: NetworkFile) -> None:
    inputs = [layer for layer in network.layers.values() if not layer.inputs]
    height, width, channels = network.input_shape
    if len(inputs) != 1 or channels != 3 or not type(height) is type(width) is int:
        raise NotANetwork("expected one input, photos")


def _single_output(places: Any, layers: Mapping[str, Layer]) -> str:
    """Keras writes one output as [name, 0, 0], or as a list of such."""
    place = places if isinstance(places[0], str) else places[0]
    if len(places) not in (1, 3) or place[0] not in layers or place[1:] != [0, 0]:
        raise NotANetwork("expected one output")
    return place[0]


def _read_layers(entries: Any, weights: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[Layer]:
    known: set[str] = set()
    for entry in entries:
        name, kind, settings = entry["config"]["name"], entry["class_name"], entry["config"]
        sources = list(_sources(entry["inbound_nodes"]))
        inputs = tuple(source["keras_history"][0] for source in sources)
        channels = sources[0]["shape"][-1] if sources else 0
        if kind not in KINDS | UNTRANSLATED or not known.issuperset(inputs) or name in known:
            raise NotANetwork(f"the layer {name} of kind {kind} is not known")
        if len(entry["inbound_nodes"]) != (kind != "InputLayer"):
            raise NotANetwork(f"the layer {name} is not used once")
        required = {**_REQUIRED_SETTINGS, **rebuild.REQUIRED_SETTINGS.get(kind, {})}
        for setting, values in required.items() if kind in KINDS else ():
            if settings.get(setting, values[0]) not in values:
                raise NotANetwork(f"the layer {name} has the {setting} {settings[setting]}")
        known.add(name)
        named = _last_parts(weights.get(name, {}), 2 if kind == "MultiHeadAttention" else 1)
        yield Layer(name, kind, inputs, channels, settings, named)


def _last_parts(arrays: Mapping[str, np.ndarray], parts: int) -> dict[str, np.ndarray]:
    """Arrays by the last parts of their paths in the file."""
    return {"/".join(path.split("/")[-parts:]): array for path, array in arrays.items()}


def _sources(node: Any) -> Iterator[Mapping[str, Any]]:
    """The input tensors in Keras's description of a call, however deep they are nested."""
    if isinstance(node, Mapping):
        if "keras_history" in node:
            yield node
        else:
            for value in node.values():
                yield from _sources(value)
    elif isinstance(node, list):
        for value in node:
            yield from _sources(value)
