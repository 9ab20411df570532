"""The weights of a known network out of a Keras file: all of them, of exactly the right shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from carbrand.network.architecture.keras_graph import renumber
from carbrand.network.weights.h5_file import H5_ERRORS, open_h5, read_array, refuse, stored_layers
from carbrand.node.wording import first_few

Shape = tuple[int, ...]
Stored = Mapping[str, list[h5py.Dataset]]

_SHOWN = 3  # problems of one kind that fit on one line


@dataclass(frozen=True)
class LayerWeights:
    """float32 arrays by layer, in Keras's order, and the names of all layers in the file."""

    arrays: dict[str, list[np.ndarray]]
    layers: frozenset[str]


def read_layers(
    path: Path,
    what: str,
    expected: Mapping[str, list[Shape]],
    ignored: frozenset[str],
    containers: frozenset[str] = frozenset(),
) -> LayerWeights:
    """The weights of the layers `expected`, which must have exactly these shapes and be finite.

    Sides of length 1 may be elsewhere or missing: the kernel of a depthwise convolution is
    (h, w, channels, 1) in one layer of Keras and (h, w, 1, channels) in another. Names that Keras
    gave are compared as `renumber` counts them.

    Other layers may have no weights, but for those `ignored`: ResNet101 has every layer of
    ResNet50, and more. `containers` are networks in the network. `what` is the network, for the
    message. Links that leave the group they are in, data outside the file, and data that is stored
    packed are refused.

    Raises UserError: one line that says which weights are missing, mis-shaped or unknown.
    """
    try:
        with open_h5(path) as file:
            found = stored_layers(path, file)
            stored = _renumbered(_flat(path, found, containers))
            _check_layers(path, what, stored, expected, ignored)
            arrays = {
                layer: [
                    read_array(path, f"{layer}, weight {i}", stored[layer][i]).reshape(shape)
                    for i, shape in enumerate(shapes)
                ]
                for layer, shapes in expected.items()
            }
            return LayerWeights(arrays, frozenset(found))
    except H5_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        refuse(path, f"it cannot be read ({reason})")


def _flat(path: Path, stored: Stored, containers: frozenset[str]) -> dict[str, list[h5py.Dataset]]:
    """Layers of the networks in the network beside all others.

    The older layout keeps all weights of such a network as one list; the name of each ends in
    `layer/kernel`.
    """
    flat: dict[str, list[h5py.Dataset]] = {}
    for name, datasets in stored.items():
        for dataset in datasets if name in containers else ():
            flat.setdefault(dataset.name.split("/")[-2], []).append(dataset)
    for name, datasets in stored.items():
        if name in containers:
            continue
        if name in flat:
            refuse(path, f"two of its layers are named {name}")
        flat[name] = datasets
    return flat


def _renumbered(stored: Stored) -> Stored:
    new = renumber(stored)
    return {new[name]: datasets for name, datasets in stored.items()}


def _check_layers(
    path: Path,
    what: str,
    stored: Stored,
    expected: Mapping[str, list[Shape]],
    ignored: frozenset[str],
) -> None:
    missing = [layer for layer in expected if not stored.get(layer)]
    unknown = [
        layer
        for layer, datasets in stored.items()
        if datasets and layer not in {*expected, *ignored}
    ]
    shapes = {
        layer: [d.shape or () for d in stored[layer]] for layer in expected if layer not in missing
    }
    misshaped = [
        f"{layer} (expected {_format_shapes(expected[layer])}, received {_format_shapes(received)})"
        for layer, received in shapes.items()
        if not _alike(received, expected[layer])
    ]
    problems = [
        f"{word}: {first_few(found, _SHOWN)}"
        for word, found in (
            ("missing layers", missing),
            ("wrong shapes", misshaped),
            ("layers it should not have", unknown),
        )
        if found
    ]
    if problems:
        refuse(path, f"they are not those of {what}; {'; '.join(problems)}")


def _alike(received: list[Shape], expected: list[Shape]) -> bool:
    """Whether the shapes are the same, but for sides of length 1."""
    one, other = (
        [[n for n in shape if n != 1] for shape in shapes] for shapes in (received, expected)
    )
    return one == other


def _format_shapes(shapes: list[Shape]) -> str:
    return " ".join("×".join(map(str, shape)) or "scalar" for shape in shapes) or "nothing"
