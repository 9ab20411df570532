"""Vision transformers out of Keras's built-in layers: ViT, DINOv2 and the image half of SigLIP.

One layout for all (Dosovitskiy et al. 2021, arXiv:2010.11929): a token per patch, further tokens in
front of them, positions added, then blocks of attention and of a perceptron. The scale of a branch
(DINOv2's LayerScale) is multiplied into the weights before it, which gives the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.network.architecture.rebuild import ADDED, assign

Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class Perceptron:
    """Dense layers with an activation between them; each is a kernel, and a bias or none.

    activation: gelu, gelu_approximate (by tanh), or swiglu (Shazeer 2020, arXiv:2002.05202), where
    the outputs of the first layer are gates and then what passes them.
    """

    first: Arrays
    second: Arrays
    activation: str


@dataclass(frozen=True)
class Norm:
    """A LayerNormalization over channels: gamma, beta."""

    arrays: Arrays
    epsilon: float


@dataclass(frozen=True)
class Block:
    """attention: the weights of a MultiHeadAttention."""

    norm1: Norm
    attention: Arrays
    norm2: Norm
    perceptron: Perceptron


@dataclass(frozen=True)
class Pooler:
    """Attention of one token to all others, SigLIP's answer. probe: that token, (channels,)."""

    probe: np.ndarray
    attention: Arrays
    norm: Norm
    perceptron: Perceptron


@dataclass(frozen=True)
class Transformer:
    """All weights. patches: the convolution's, whose kernel is as large as a patch.

    leading (tokens, channels): class token and registers, their positions included. positions
    (patches, channels). pooler: where there is no class token.
    """

    name: str
    patches: Arrays
    leading: np.ndarray
    positions: np.ndarray
    blocks: Sequence[Block]
    norm: Norm
    pooler: Pooler | None = None


def scaled(weights: Arrays, scale: np.ndarray) -> list[np.ndarray]:
    """Weights whose last two, or only the last without a bias, give `scale` times as much."""
    kept = len(weights) - (2 if weights[-1].ndim == 1 else 1)
    return [*weights[:kept], *(array * scale for array in weights[kept:])]


def build_transformer(
    keras: ModuleType, transformer: Transformer, size_px: int, scale: Any, offset: Any
) -> Any:
    """The network from photos (n, size_px, size_px, 3) in 0…255 to maps (n, h, w, 2 * channels).

    A cell holds its patch's token, and after it what stands for the whole photo: the class token,
    or the answer of the pooler. Their average over cells is what DINOv2 is evaluated on (Oquab et
    al. 2023, arXiv:2304.07193): the class token and the mean of the patches.
    """
    network = _Network(keras)
    photos = keras.Input((size_px, size_px, 3), name="photos")
    x = keras.layers.Rescaling(scale, offset=offset, name="scale")(photos)
    x = network.embed(x, transformer)
    for number, block in enumerate(transformer.blocks):
        x = network.add_block(x, block, f"block{number}")
    x = network.norm("norm", x, transformer.norm)
    model = keras.Model(photos, network.add_maps(x, transformer, size_px), name=transformer.name)
    assign(model, {layer.name: network.arrays.get(layer.name, ()) for layer in model.layers})
    return model


class _Network:
    """Adds layers, and collects their weights by name."""

    def __init__(self, keras: ModuleType) -> None:
        self._layers = keras.layers
        self.arrays: dict[str, Arrays] = {}

    def _add(self, kind: str, name: str, *inputs: Any, arrays: Arrays = (), **settings: Any) -> Any:
        if arrays and kind != "LayerNormalization":  # drawn, only to be replaced
            settings["kernel_initializer"] = "zeros"
        self.arrays[name] = arrays
        return getattr(self._layers, kind)(name=name, **settings)(*inputs)

    def embed(self, x: Any, transformer: Transformer) -> Any:
        kernel, *bias = transformer.patches
        side, channels = kernel.shape[0], kernel.shape[-1]
        sizes = {"filters": channels, "kernel_size": side, "strides": side}
        x = self._add(
            "Conv2D", "patches", x, arrays=transformer.patches, use_bias=bool(bias), **sizes
        )
        x = self._add("Reshape", "tokens", x, target_shape=(-1, channels))
        leading = len(transformer.leading)
        if leading:
            x = self._add("ZeroPadding1D", "leading_tokens", x, padding=(leading, 0))
        added = np.concatenate([transformer.leading, transformer.positions])
        return self._plus("positions", x, np.ones(channels), added)

    def _plus(self, name: str, x: Any, kernel: np.ndarray, added: np.ndarray) -> Any:
        """The tokens times `kernel`, plus an array (tokens, channels)."""
        settings = {"equation": ADDED, "output_shape": added.shape, "bias_axes": "nd"}
        return self._add("EinsumDense", name, x, arrays=[kernel, added], **settings)

    def add_block(self, x: Any, block: Block, name: str) -> Any:
        seen = self.norm(f"{name}_norm1", x, block.norm1)
        seen = self._attend(f"{name}_attention", (seen, seen), block.attention)
        x = self._add("Add", f"{name}_add1", [x, seen])
        seen = self.norm(f"{name}_norm2", x, block.norm2)
        seen = self._perceive(f"{name}_mlp", seen, block.perceptron)
        return self._add("Add", f"{name}_add2", [x, seen])

    def norm(self, name: str, x: Any, norm: Norm) -> Any:
        return self._add("LayerNormalization", name, x, arrays=norm.arrays, epsilon=norm.epsilon)

    def _attend(self, name: str, inputs: tuple[Any, Any], arrays: Arrays) -> Any:
        """Attention of the first tokens to the second."""
        _, heads, width = arrays[0].shape
        settings = {"num_heads": heads, "key_dim": width, "use_bias": len(arrays) == 8}
        return self._add("MultiHeadAttention", name, *inputs, arrays=arrays, **settings)

    def _perceive(self, name: str, x: Any, perceptron: Perceptron) -> Any:
        if perceptron.activation == "swiglu":
            gates, passed = (
                [array[..., half] for array in perceptron.first]
                for half in np.split(np.arange(perceptron.first[0].shape[-1]), 2)
            )
            gate = self._dense(f"{name}_gate", x, gates, "silu")
            x = self._dense(f"{name}_passed", x, passed)
            x = self._add("Multiply", f"{name}_product", [gate, x])
        elif perceptron.activation == "gelu":
            x = self._dense(f"{name}_dense1", x, perceptron.first, "gelu")
        else:
            x = self._approximate_gelu(name, self._dense(f"{name}_dense1", x, perceptron.first))
        return self._dense(f"{name}_dense2", x, perceptron.second)

    def _dense(self, name: str, x: Any, arrays: Arrays, activation: str = "linear") -> Any:
        kernel, *bias = arrays
        settings = {"units": kernel.shape[-1], "activation": activation, "use_bias": bool(bias)}
        return self._add("Dense", name, x, arrays=arrays, **settings)

    def _approximate_gelu(self, name: str, x: Any) -> Any:
        """X * sigmoid(2 u) is x / 2 * (1 + tanh(u)), where u = sqrt(2 / pi) * (x + 0.044715 x³)."""
        slope = 2 * math.sqrt(2 / math.pi)
        square = self._add("Multiply", f"{name}_square", [x, x])
        u = self._add("Rescaling", f"{name}_slope", square, scale=0.044715 * slope, offset=slope)
        u = self._add("Multiply", f"{name}_bend", [x, u])
        gate = self._add("Activation", f"{name}_gate", u, activation="sigmoid")
        return self._add("Multiply", f"{name}_gelu", [x, gate])

    def add_maps(self, x: Any, transformer: Transformer, size_px: int) -> Any:
        leading, (patches, channels) = len(transformer.leading), transformer.positions.shape
        if transformer.pooler:
            whole = self._pool(x, transformer.pooler)
        else:
            whole = self._add("Cropping1D", "class_token", x, cropping=(0, leading + patches - 1))
        if leading:
            x = self._add("Cropping1D", "patch_tokens", x, cropping=(leading, 0))
        whole = self._add("Reshape", "whole", whole, target_shape=(channels,))
        whole = self._add("RepeatVector", "whole_everywhere", whole, n=patches)
        x = self._add("Concatenate", "cells", [x, whole])
        side = size_px // transformer.patches[0].shape[0]
        return self._add("Reshape", "maps", x, target_shape=(side, side, 2 * channels))

    def _pool(self, x: Any, pooler: Pooler) -> Any:
        """One token per photo, (n, 1, channels)."""
        (channels,) = pooler.probe.shape
        first = self._add("Cropping1D", "first_token", x, cropping=(0, x.shape[1] - 1))
        probe = self._plus("probe", first, np.zeros(channels), pooler.probe[None])
        answer = self._attend("pool_attention", (probe, x), pooler.attention)
        seen = self.norm("pool_norm", answer, pooler.norm)
        seen = self._perceive("pool_mlp", seen, pooler.perceptron)
        return self._add("Add", "pool_add", [answer, seen])
