"""A Keras file of one's own as a backbone: rebuilt from built-in layers, never loaded."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from carbrand.network.architecture.keras_graph import Graph, NotDescribed, describe
from carbrand.network.architecture.rebuild import (
    assign,
    containers_of,
    expected_shapes,
    rebuild,
    with_zeros,
)
from carbrand.network.weights.keras_file import check_keras_file, read_description, weights_inside
from carbrand.network.weights.layer_weights import read_layers
from carbrand.node.errors import UserError

SUFFIXES = (".h5", ".hdf5", ".keras")
NAME = "own"


def is_file_name(backbone: str) -> bool:
    """Whether the value of `features.backbone` is meant as a file."""
    return backbone.lower().endswith(SUFFIXES)


def check_own_network(path: Path) -> None:
    """Raise UserError unless the file holds a network of known layers. Does not import Keras."""
    check_keras_file("features.backbone", path)
    _read_graph(path)


def build_own_network(path: Path, size_px: int, keras: ModuleType) -> Any:
    """The network in the file, from photos (n, size_px, size_px, 3) to its last maps.

    A head of classes is left out. A network whose output is a vector (n, d) gives it as maps
    (n, 1, 1, d). Raises UserError.
    """
    graph = _read_graph(path)
    names = {node.name for node in graph.nodes} - {graph.photos}
    photos = keras.Input((size_px, size_px, 3), name="photos" if "photos" not in names else None)
    try:
        outputs = rebuild(keras, graph, photos, most=path.stat().st_size)
        output = _maps(keras, graph, outputs)
    except NotDescribed as error:
        raise _refusal(path, f"{error}, at {size_px} px") from None
    model = keras.Model(photos, output, name=NAME)
    expected = expected_shapes(model)
    above = frozenset(outputs) - expected.keys()
    with weights_inside(path) as weights:
        stored = read_layers(weights, "the network in it", expected, above, containers_of(graph))
    assign(model, stored.arrays)
    return model


def _read_graph(path: Path) -> Graph:
    try:
        graph = with_zeros(describe(read_description(path)))
        shape = graph.nodes[0].settings["shape"]
        if not isinstance(shape, list) or len(shape) != 4 or shape[-1] != 3:
            raise NotDescribed(f"its input has the shape {shape}, expected photos in RGB")
        return graph
    except NotDescribed as error:
        raise _refusal(path, str(error)) from None


def _refusal(path: Path, reason: str) -> UserError:
    printable = "".join(letter if letter.isprintable() else "?" for letter in reason[:500])
    return UserError(
        f"features.backbone: {path} is not used: {printable}. Expected a network of layers that "
        f"Keras has built in, from one photo to maps or to a vector."
    )


def _maps(keras: ModuleType, graph: Graph, outputs: dict[str, Any]) -> Any:
    output = outputs[graph.output]
    if _is_head(graph):
        passed = [n.name for n in graph.nodes if len(outputs[n.name].shape) == 4 and n.inputs]
        wide = [name for name in passed if outputs[name].shape[1] != 1] or passed
        if not wide:
            raise NotDescribed("it has no maps (n, h, w, channels)")
        return outputs[wide[-1]]
    if len(output.shape) == 2 and output.shape[-1]:
        return keras.layers.Reshape((1, 1, output.shape[-1]), name="as_maps")(output)
    if len(output.shape) != 4 or None in output.shape[1:]:
        raise NotDescribed(f"its output has the shape {tuple(output.shape)}")
    return output


def _is_head(graph: Graph) -> bool:
    """Whether the output is classes: probabilities, as Keras's own tops and ours give them."""
    last = next(node for node in graph.nodes if node.name == graph.output)
    return last.kind == "Softmax" or last.settings.get("activation") in ("softmax", "sigmoid")
