"""Presets of keras-hub as backbones: `hub:NAME`, or `hub:FOLDER` of one that was saved.

keras-hub is an extra, imported only to build such a network. Its models are classes of its own, so
their weights go into the same network of built-in layers, and `model.h5` needs no keras-hub.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.network.architecture.applications import download
from carbrand.network.architecture.vision_transformer import (
    Block,
    Norm,
    Perceptron,
    Pooler,
    Transformer,
    build_transformer,
    scaled,
)
from carbrand.node.errors import UserError

PREFIX = "hub:"
# keras-hub asks for tensorflow-text, and that for the wheel `tensorflow`, which overwrites
# tensorflow-cpu. It runs without: this is all that it imports besides what is here.
INSTALL = "pip install --no-deps keras-hub kagglehub kagglesdk regex tokenizers"
_CONFIG, _CONVERTER, _WEIGHTS = "config.json", "image_converter.json", "model*.weights.*"
_MAX_CONFIG = 2**20  # bytes
_ALIKE, _SUGGESTIONS = 0.4, 3


def is_hub_name(backbone: str) -> bool:
    """Whether the value of `features.backbone` names a preset of keras-hub."""
    return backbone.startswith(PREFIX)


def preset_folder(backbone: str) -> Path | None:
    """The folder of a preset on this machine; None of a preset that keras-hub downloads."""
    preset = backbone.removeprefix(PREFIX)
    return Path(preset) if "/" in preset or "\\" in preset or Path(preset).is_dir() else None


def check_preset(backbone: str) -> None:
    """Raise UserError where keras-hub is missing, or a folder is no preset of a known family.

    Costs milliseconds. Names of presets are only known to keras-hub, whose import takes seconds.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise UserError(
            f"features.backbone: {backbone} needs keras-hub, on Python 3.11 or newer: `{INSTALL}` "
            f"(docs/backbones.md says why so)."
        )
    folder = preset_folder(backbone)
    if folder is not None:
        _check_family(backbone, _class_in(folder))


def build_preset(backbone: str, size_px: int, keras: ModuleType) -> Any:
    """The preset as a network of built-in layers, photos (n, size_px, size_px, 3) to maps.

    For one that `check_preset` has passed. See `build_transformer` for the maps. Raises UserError.
    """
    import keras_hub

    folder, preset = preset_folder(backbone), backbone.removeprefix(PREFIX)
    family = _class_in(folder) if folder is not None else _class_of(keras_hub, backbone)
    with download(f"keras-hub could not read the preset {preset}", _way_out(folder)):
        model = keras_hub.models.Backbone.from_preset(preset, dtype="float32")
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    vision = getattr(model, "vision_encoder", model)
    _check_size(backbone, family, vision, size_px)
    try:
        transformer = _FAMILIES[family](vision, size_px)
    except (AttributeError, IndexError, ValueError) as error:
        raise UserError(
            f"features.backbone: {backbone} of keras-hub {keras_hub.__version__} is built in a way "
            f"that is not known here ({error})."
        ) from None
    scale, offset = (
        np.asarray(value, float).tolist() if value is not None else neutral
        for value, neutral in ((converter.scale, 1.0), (converter.offset, 0.0))
    )
    return build_transformer(keras, transformer, size_px, scale, offset)


def _way_out(folder: Path | None) -> str:
    if folder is not None:
        return "Expected a folder as keras-hub saves it: `Backbone.save_to_preset(folder)`."
    return "Without a network, bring its folder: `features.backbone: hub:path/to/folder`."


def _class_in(folder: Path) -> str:
    """The class that the folder's config.json names. Raises UserError."""
    wrong = f"features.backbone: {folder} is no folder of a preset"
    if not folder.is_dir():
        raise UserError(f"{wrong}: there is none. {_way_out(folder)}")
    missing = [name for name in (_CONFIG, _CONVERTER, _WEIGHTS) if not any(folder.glob(name))]
    if missing:
        raise UserError(
            f"{wrong}: it has no {' and no '.join(missing)}. Save the model and its "
            f"ImageConverter there with keras-hub's `save_to_preset`."
        )
    try:
        with (folder / _CONFIG).open("rb") as file:
            found = json.loads(file.read(_MAX_CONFIG))
        # Keras would import a module that is not keras-hub's own.
        if found["module"].split(".")[0] != "keras_hub":
            raise ValueError
        return str(found["class_name"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{wrong}: keras-hub did not write its {_CONFIG}.") from None


def _class_of(hub: ModuleType, backbone: str) -> str:
    """The class of a preset that keras-hub knows by its name."""
    name = backbone.removeprefix(PREFIX)
    known = {
        preset: family for family in _FAMILIES for preset in getattr(hub.models, family).presets
    }
    if name in known:
        return known[name]
    if name in hub.models.Backbone.presets:
        raise UserError(f"features.backbone: {backbone} is none of {_NAMES}.")
    near = difflib.get_close_matches(name.lower(), known, _SUGGESTIONS, _ALIKE)
    hint = f"Did you mean {' or '.join(PREFIX + preset for preset in near)}? " if near else ""
    raise UserError(
        f"features.backbone: keras-hub has no preset {name}. {hint}"
        f"docs/backbones.md says what there is."
    )


def _check_family(backbone: str, family: str) -> None:
    if family not in _FAMILIES:
        raise UserError(f"features.backbone: {backbone} is a {family}, none of {_NAMES}.")


def _check_size(backbone: str, family: str, vision: Any, size_px: int) -> None:
    """Raise UserError where the preset has no positions for photos of this size."""
    side = int(np.ravel(vision.patch_size)[0])
    trained = vision.image_shape[0]
    if trained != size_px and family != _INTERPOLATED:
        raise UserError(
            f"features.size_px: {size_px} does not suit {backbone}, whose positions are those of "
            f"{trained} px. Set features.size_px: {trained}."
        )
    if size_px % side:
        below = size_px // side * side
        raise UserError(
            f"features.size_px: {size_px} is no multiple of {side}, the patches of {backbone}. "
            f"The nearest are {below} and {below + side}."
        )


def _vit(model: Any, _size_px: int) -> Transformer:
    embedding = model.get_layer("vit_patching_and_embedding")
    encoder = model.get_layer("vit_encoder")
    positions = np.asarray(embedding.position_embedding.embeddings)
    return Transformer(
        name="vit",
        patches=_weights(embedding.patch_embedding),
        leading=np.asarray(embedding.class_token)[0] + positions[:1],
        positions=positions[1:],
        blocks=[
            Block(
                norm1=_norm(layer.layer_norm_1),
                attention=_weights(layer.mha),
                norm2=_norm(layer.layer_norm_2),
                perceptron=_perceptron(layer.mlp.dense_1, layer.mlp.dense_2, "gelu"),
            )
            for layer in encoder.encoder_layers
        ],
        norm=_norm(encoder.layer_norm),
    )


def _dinov2(model: Any, size_px: int) -> Transformer:
    embedding = model.embeddings
    positions = np.asarray(embedding.position_embeddings)[0]
    side, antialias = size_px // embedding.patch_size, embedding.antialias_in_interpolation
    leading = np.asarray(embedding.cls_token)[0] + positions[:1]
    if embedding.num_register_tokens:  # they have no position
        leading = np.concatenate([leading, np.asarray(embedding.register_tokens)[0]])
    return Transformer(
        name="dinov2",
        patches=_weights(embedding.patch_embeddings.projection),
        leading=leading,
        positions=interpolate_positions(positions[1:], side, antialias),
        blocks=[_dinov2_block(layer) for layer in model.encoder.layers],
        norm=_norm(model.layernorm),
    )


def interpolate_positions(positions: np.ndarray, side: int, antialias: bool) -> np.ndarray:
    """Positions of a square of patches (n, channels) for one of side * side patches.

    As TensorFlow resizes photos, by a cubic kernel (Keys 1981, a = -1/2) that is as wide as a cell,
    or with `antialias` as one of the larger cells. Not by Keras: its backends differ by percents.
    """
    old = math.isqrt(len(positions))
    scale = max(1.0, old / side) if antialias else 1.0
    centres = (np.arange(side) + 0.5) * old / side - 0.5
    x = np.abs(centres[:, None] - np.arange(old)) / scale
    near, far = (1.5 * x - 2.5) * x * x + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2
    kernel = np.where(x <= 1, near, np.where(x < 2, far, 0.0))
    kernel /= kernel.sum(axis=1, keepdims=True)
    grid = positions.reshape(old, old, -1).astype(np.float64)
    resized = np.einsum("yi,xj,ijc->yxc", kernel, kernel, grid, optimize=True)
    return resized.reshape(side * side, -1).astype(np.float32)


def _dinov2_block(layer: Any) -> Block:
    scale1, scale2 = (np.asarray(s.lambda1) for s in (layer.layer_scale1, layer.layer_scale2))
    mlp = layer.mlp
    if layer.use_swiglu_ffn:
        found = _perceptron(mlp.weights_in, mlp.weights_out, "swiglu")
    else:
        found = _perceptron(mlp.fc1, mlp.fc2, mlp.activation)
    return Block(
        norm1=_norm(layer.norm1),
        attention=scaled(_weights(layer.attention.attention), scale1),
        norm2=_norm(layer.norm2),
        perceptron=Perceptron(found.first, scaled(found.second, scale2), found.activation),
    )


def _siglip(model: Any, _size_px: int) -> Transformer:
    embedding, head = model.embedding, model.head
    positions = np.asarray(embedding.position_embedding.embeddings)
    return Transformer(
        name="siglip",
        patches=_weights(embedding.patch_embedding),
        leading=positions[:0],
        positions=positions,
        blocks=[
            Block(
                norm1=_norm(layer.layer_norm1),
                attention=_weights(layer.self_attn),
                norm2=_norm(layer.layer_norm2),
                perceptron=_perceptron(layer.mlp.fc1, layer.mlp.fc2, layer.mlp.activation),
            )
            for layer in model.encoder_layers
        ],
        norm=_norm(model.post_layer_norm),
        pooler=Pooler(
            probe=np.asarray(head.probe)[0, 0],
            attention=_weights(head.attention),
            norm=_norm(head.layer_norm),
            perceptron=_perceptron(head.mlp.fc1, head.mlp.fc2, head.mlp.activation),
        ),
    )


def _weights(layer: Any) -> list[np.ndarray]:
    return layer.get_weights()


def _norm(layer: Any) -> Norm:
    return Norm(_weights(layer), layer.epsilon)


def _perceptron(first: Any, second: Any, activation: str) -> Perceptron:
    if activation not in ("gelu", "gelu_approximate", "swiglu"):
        raise ValueError(f"activation {activation}")
    return Perceptron(_weights(first), _weights(second), activation)


# The family whose positions keras-hub itself interpolates for other sizes of photos.
_INTERPOLATED = "DINOV2Backbone"
_FAMILIES: Mapping[str, Callable[[Any, int], Transformer]] = {
    "ViTBackbone": _vit,
    _INTERPOLATED: _dinov2,
    "SigLIPBackbone": _siglip,
}
_NAMES = "the families that are known here: ViT, DINOv2, SigLIP and SigLIP 2"
