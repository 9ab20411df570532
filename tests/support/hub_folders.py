"""Small models of keras-hub with random weights, saved as its presets are: those are a download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIZE_PX, PATCH_PX, CHANNELS = 48, 8, 32
_SMALL = {"num_layers": 2, "num_heads": 2, "hidden_dim": CHANNELS}
# By model: preprocessing as scale and offset of its ImageConverter.
SCALES: dict[str, tuple[Any, Any]] = {
    "vit": (1 / 127.5, -1.0),
    "dinov2": ([1 / 58, 1 / 57, 1 / 57.5], [-2.1, -2.0, -1.8]),
    "dinov2_giant": ([1 / 58, 1 / 57, 1 / 57.5], [-2.1, -2.0, -1.8]),
    "siglip": (1 / 127.5, -1.0),
}


def save_preset(name: str, folder: Path) -> Any:
    """Write a preset of one of SCALES for photos of SIZE_PX; the model of keras-hub."""
    import keras_hub

    shape = (SIZE_PX, SIZE_PX, 3)
    if name == "vit":
        family = "ViT"
        model = keras_hub.models.ViTBackbone(
            image_shape=shape, patch_size=PATCH_PX, mlp_dim=64, **_SMALL
        )
    elif name == "siglip":
        family, model = "SigLIP", _siglip(keras_hub, shape)
    else:
        family, giant = "DINOV2", name == "dinov2_giant"
        model = keras_hub.models.DINOV2Backbone(
            patch_size=PATCH_PX,
            intermediate_dim=64,
            image_shape=shape,
            position_embedding_shape=shape,
            num_register_tokens=4 if giant else 0,
            use_swiglu_ffn=giant,
            antialias_in_interpolation=giant,
            **_SMALL,
        )
    _randomise(model)
    if family == "DINOV2":
        found = model.embeddings
        found.interpolated_position_embeddings.assign(found.position_embeddings)
    scale, offset = SCALES[name]
    converter = getattr(keras_hub.layers, f"{family}ImageConverter")
    model.save_to_preset(str(folder))
    converter(image_size=shape[:2], scale=scale, offset=offset).save_to_preset(str(folder))
    return model


def _siglip(keras_hub: Any, shape: tuple[int, ...]) -> Any:
    vision = keras_hub.models.SigLIPVisionEncoder(
        patch_size=PATCH_PX, intermediate_dim=64, image_shape=shape, **_SMALL
    )
    text = keras_hub.models.SigLIPTextEncoder(
        vocabulary_size=8,
        embedding_dim=CHANNELS,
        intermediate_dim=8,
        max_sequence_length=4,
        **_SMALL | {"num_layers": 1},
    )
    return keras_hub.models.SigLIPBackbone(vision, text)


def _randomise(model: Any) -> None:
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if "int" in str(weight.dtype):
            continue
        if weight.name in ("gamma", "lambda1"):
            weight.assign(rng.uniform(0.5, 1.0, shape))
        else:
            fan_in = np.prod(shape[:-1]) if weight.name == "kernel" else 10
            weight.assign(rng.normal(0, 1 / np.sqrt(fan_in), shape))
