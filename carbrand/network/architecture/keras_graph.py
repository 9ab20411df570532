"""A Keras network as plain data: its layers, what each of them reads, and their settings.

`describe` reads the JSON that Keras writes about a model, and builds nothing. Networks in networks
become one flat list, and what Keras has several spellings for becomes one: arithmetic with a number
is a Rescaling, a convolution of each channel by itself a DepthwiseConv2D. Layers of
`keras.applications` that are not among `keras.layers` are written as those that do the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

# Layers that do nothing outside training.
_ONLY_TRAINING = frozenset(
    {
        *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
        *("ActivityRegularization", "Identity", "RandomFlip", "RandomRotation", "RandomZoom"),
        *("RandomTranslation", "RandomContrast", "RandomBrightness"),
    }
)
_NETWORKS = ("Functional", "Sequential", "Model")
# Settings that do not change what a trained layer computes, some of which may name code.
_IRRELEVANT = re.compile(r".*_(initializer|regularizer|constraint)|trainable|dtype|synchronized")
_CONTROLS = ("mask", "training")  # arguments of a call that do not matter outside training
_NUMBERED = re.compile(r"([a-z][a-z0-9]*(?:_[a-z][a-z0-9]*)*?)(?:_(\d+))?")
# What Keras calls layers that were given no name.
_GIVEN_NAMES = frozenset(
    {
        *("activation", "add", "average_pooling2d", "batch_normalization", "concatenate", "conv2d"),
        *("cropping2d", "custom_scale_layer", "dense", "depthwise_conv2d", "dropout", "flatten"),
        *("global_average_pooling2d", "global_max_pooling2d", "input_layer", "layer_scale"),
        *("layer_normalization", "max_pooling2d", "multiply", "normalization", "re_lu"),
        *("rescaling", "reshape", "separable_conv2d", "zero_padding2d"),
    }
)


class NotDescribed(ValueError):
    """The description holds something that is not known here, or is damaged."""


@dataclass(frozen=True)
class Node:
    """A layer: its class in keras.layers, the names of layers that it reads, and its settings.

    within: the name of the outermost network in the network that it belongs to, or "".
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    within: str = ""


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order; `photos` and `output` are the names of the first and the last."""

    nodes: tuple[Node, ...]
    photos: str
    output: str


def describe(model: Any) -> Graph:
    """The graph of a model from its class_name and config. Raises NotDescribed."""
    builder = _Builder()
    try:
        output = builder.add_network(model, (), "")
    except NotDescribed:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise NotDescribed(f"its description is damaged ({type(error).__name__})") from None
    if len(builder.photos) != 1:
        raise NotDescribed(f"it has {len(builder.photos)} inputs, expected one, photos")
    return _renumbered(Graph(tuple(builder.nodes), builder.photos[0], output))


def renumber(names: Iterable[str]) -> dict[str, str]:
    """Names given by Keras counted from 0, whatever else was built before; all others as they are.

    The first is `conv2d`, then `conv2d_1`, in the order in which the layers were made.
    """
    counted: dict[str, list[tuple[int, str]]] = defaultdict(list)
    result = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match and match[1] in _GIVEN_NAMES:
            counted[match[1]].append((int(match[2] or 0), name))
        else:
            result[name] = name
    for base, found in counted.items():
        for number, (_, name) in enumerate(sorted(found)):
            result[name] = f"{base}_{number}" if number else base
    return result


def without_preprocessing(graph: Graph) -> Graph:
    """The graph without the scaling that stands between photos and its first other layer."""
    nodes, first = list(graph.nodes), graph.photos
    while nodes[1].kind in ("Rescaling", "Normalization") and nodes[1].inputs == (first,):
        gone = nodes.pop(1).name
        nodes = [
            replace(n, inputs=tuple(first if i == gone else i for i in n.inputs)) for n in nodes
        ]
    return replace(graph, nodes=tuple(nodes))


def _renumbered(graph: Graph) -> Graph:
    new = renumber(node.name for node in graph.nodes)
    nodes = tuple(
        replace(node, name=new[node.name], inputs=tuple(new[name] for name in node.inputs))
        for node in graph.nodes
    )
    return Graph(nodes, new[graph.photos], new[graph.output])


@dataclass
class _Builder:
    """Collects nodes."""

    nodes: list[Node] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def add_network(self, model: Any, inputs: tuple[str, ...], within: str) -> str:
        """Add the layers of a network that reads the nodes `inputs`; the name of its output."""
        config = model["config"]
        if model["class_name"] == "Sequential":
            return self._add_chain(config["layers"], inputs, within)
        outputs: dict[str, str] = {}  # of its layers, by their names in it
        waiting = list(inputs)
        for entry in config["layers"]:
            name, calls = entry["name"], entry["inbound_nodes"]
            if entry["class_name"] == "InputLayer":
                outputs[name] = waiting.pop(0) if inputs else self._add_photos(entry)
                continue
            if len(calls) != 1:
                raise NotDescribed(f"the layer {name} is used {len(calls)} times, expected once")
            if not isinstance(calls[0], Mapping):
                raise NotDescribed("Keras 2 saved it; open it with Keras 3 and save it again")
            sources, numbers, channels = _arguments(name, calls[0])
            read = tuple(outputs[source] for source in sources)
            outputs[name] = self._add(entry, read, numbers, channels, within)
        return outputs[_single(config["output_layers"])]

    def _add_chain(self, entries: Any, inputs: tuple[str, ...], within: str) -> str:
        last = inputs
        for entry in entries:
            if entry["class_name"] == "InputLayer":
                last = last or (self._add_photos(entry),)
            elif not last:
                raise NotDescribed("its first layer is no Input, so its photos have no size")
            else:
                shape = (entry.get("build_config") or {}).get("input_shape") or [0]
                last = (self._add(entry, last, (), shape[-1], within),)
        return last[0]

    def _add_photos(self, entry: Any) -> str:
        name = self._free_name(entry["config"]["name"], "")
        self.nodes.append(Node(name, "InputLayer", (), {"shape": entry["config"]["batch_shape"]}))
        self.photos.append(name)
        return name

    def _free_name(self, name: Any, within: str) -> str:
        if not isinstance(name, str) or not name:
            raise NotDescribed("a layer has no name")
        free = name if name not in self.names else f"{within}_{name}"
        if free in self.names:
            raise NotDescribed(f"two layers are named {name}")
        self.names.add(free)
        return free

    def _append(
        self, name: str, kind: str, inputs: tuple[str, ...], settings: Any, within: str
    ) -> str:
        name = self._free_name(name, within)
        self.nodes.append(Node(name, kind, inputs, settings, within))
        return name

    def _add(
        self,
        entry: Any,
        inputs: tuple[str, ...],
        numbers: Sequence[float],
        channels: Any,
        within: str,
    ) -> str:
        """Add one layer, or whatever does the same as it; the name of its output."""
        kind, name = entry["class_name"], entry["config"]["name"]
        module = str(entry.get("module", "keras.layers"))
        if kind in _NETWORKS and module.startswith("keras"):
            return self.add_network(entry, inputs, within or name)
        if module.startswith("keras.src.ops") or numbers:
            return self._add_arithmetic(kind, name, inputs, numbers, within)
        settings = _settings(name, kind, entry["config"])
        if module.startswith("keras.src.applications."):
            return self._add_applications_own(kind, name, inputs, settings, within)
        if module != "keras.layers":
            raise NotDescribed(f"{name} is a {kind}, which is none of Keras's own layers")
        if kind in _ONLY_TRAINING:
            return inputs[0]
        if kind == "Normalization" and settings.get("mean") is not None:
            kind, settings = "Rescaling", _as_rescaling(name, settings)
        if kind == "Conv2D" and settings["groups"] == settings["filters"] == channels > 1:
            kind, settings = "DepthwiseConv2D", _without(settings, "groups", "filters")
        kept = kind.startswith("Global") and settings.get("keepdims")
        last = self._append(name, kind, inputs, _without(settings, "keepdims"), within)
        if not kept:
            return last
        return self._append(f"{name}_kept", "Reshape", (last,), {"target_shape": [1, 1, -1]}, "")

    def _add_arithmetic(
        self, kind: str, name: str, inputs: tuple[str, ...], numbers: Sequence[float], within: str
    ) -> str:
        """`x + 3` and the like in Keras code."""
        if not numbers and kind in ("Add", "Multiply", "Subtract"):
            return self._append(name, kind, inputs, {}, within)
        if kind not in ("Add", "Multiply", "Subtract", "Divide", "TrueDivide") or len(numbers) != 1:
            raise NotDescribed(f"{name} is the operation {kind}, which is not known here")
        (number,) = numbers
        settings = {
            "Add": {"scale": 1.0, "offset": number},
            "Subtract": {"scale": 1.0, "offset": -number},
            "Multiply": {"scale": number, "offset": 0.0},
        }.get(kind) or {"scale": 1 / number, "offset": 0.0}
        return self._append(name, "Rescaling", inputs, settings, within)

    def _add_applications_own(
        self,
        kind: str,
        name: str,
        inputs: tuple[str, ...],
        settings: Mapping[str, Any],
        within: str,
    ) -> str:
        if kind == "LayerScale":  # of ConvNeXt: each channel times a weight
            one_by_one = {"kernel_size": [1, 1], "use_bias": False}
            return self._append(name, "DepthwiseConv2D", inputs, one_by_one, within)
        if kind == "CustomScaleLayer":  # of InceptionResNetV2: x + y * scale
            scale = {"scale": settings["scale"], "offset": 0.0}
            scaled = self._append(f"{name}_scaled", "Rescaling", inputs[1:], scale, within)
            return self._append(name, "Add", (inputs[0], scaled), {}, within)
        raise NotDescribed(f"{name} is a {kind}, which is not known here")


def _without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in names}


def _settings(name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a layer computes with: numbers, texts and lists of them."""
    settings = {
        key: value
        for key, value in config.items()
        if key != "name" and not _IRRELEVANT.fullmatch(key)
    }
    for key, value in settings.items():
        if isinstance(value, Mapping):
            raise NotDescribed(f"{name} is a {kind} whose {key} is none of Keras's own")
    return settings


def _as_rescaling(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """(x - mean) / sqrt(variance) as x * scale + offset."""
    if settings.get("invert"):
        raise NotDescribed(f"{name} is an inverted Normalization, which is not known here")
    mean, variance = (
        np.asarray(settings[key], dtype=np.float64).ravel() for key in ("mean", "variance")
    )
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return {"scale": scale.tolist(), "offset": (-mean * scale).tolist()}


def _arguments(name: str, call: Mapping[str, Any]) -> tuple[list[str], list[float], Any]:
    """Names of the layers whose outputs a call reads, its numbers, and channels of the first."""
    sources, numbers, channels = [], [], None
    keywords = [value for key, value in call["kwargs"].items() if key not in _CONTROLS]
    if len(keywords) > 1:  # they may be in any order
        raise NotDescribed(f"{name} is called with several arguments by name")
    for value in _leaves([*call["args"], *keywords]):
        if isinstance(value, Mapping):
            source, number, position = value["config"]["keras_history"]
            if number or position:
                raise NotDescribed(f"{name} reads a layer that is used twice or has two outputs")
            sources.append(source)
            channels = value["config"]["shape"][-1] if channels is None else channels
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            numbers.append(float(value))
        elif value is not None:
            raise NotDescribed(f"{name} is called with something that is not known here")
    return sources, numbers, channels


def _leaves(values: Any) -> Iterator[Any]:
    if isinstance(values, list):
        for value in values:
            yield from _leaves(value)
    else:
        yield values


def _single(places: Any) -> str:
    """Keras writes one output as [name, 0, 0], or as a list of such."""
    place = places if isinstance(places[0], str) else places[0]
    if (len(places) != 1 and place is not places) or place[1:] != [0, 0]:
        raise NotDescribed("it has several outputs, expected one")
    return str(place[0])
