"""EfficientNet-Lite0, 1 and 2 in Keras, and the mapping of their PyTorch port's weights.

The network: Tan and Le 2019 (arXiv:1905.11946), for edge devices without squeeze-excite and with
ReLU6 for swish, as tensorflow/tpu publishes it under efficientnet/lite. The files of weights carry
the names of the `efficientnet_pytorch` code; their numbers were converted from TensorFlow's, so
padding is TensorFlow's "same".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

# Repeats, kernel size, stride, expansion, channels of the stages (arXiv:1905.11946, table 1).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Lite scales neither the stem nor the head, nor the repeats of the first and the last stage.
_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
_CLASSES = 1000  # of ImageNet

# From names of our layers to those in the files, within a block and outside.
_IN_BLOCK = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
_OUTSIDE = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "head_conv": "_conv_head",
    "head_bn": "_bn1",
}
# In the order of a Keras BatchNormalization's weights.
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Scaling:
    """Factors of channels (width) and repeats (depth), relative to EfficientNet-Lite0."""

    width: float
    depth: float


def build(keras: ModuleType, name: str, size_px: int, scaling: Scaling) -> Any:
    """The network `name` up to its last feature map, as a keras.Model with kernels of zeros.

    Input: (n, size_px, size_px, 3) in 0…255. Output: (n, h, w, 1280), h = w = size_px / 32 rounded
    up, in 0…6. Layers: stem_*, block00_* to block15_* (Lite0) or block20_*, head_*; the last layer
    of a block is `_add`, or `_project_bn` where shapes do not allow adding.
    """
    layers = keras.layers
    photos = keras.Input((size_px, size_px, 3), name="photos")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(photos)
    x = _relu6(layers, _conv_bn(layers, x, "stem", _STEM_CHANNELS, kernel=3, strides=2), "stem")
    block = 0
    for stage, (repeats, kernel, strides, expansion, channels) in enumerate(_STAGES):
        at_an_end = stage in (0, len(_STAGES) - 1)
        for repeat in range(repeats if at_an_end else math.ceil(repeats * scaling.depth)):
            x = _block(
                layers,
                x,
                f"block{block:02d}",
                kernel=kernel,
                strides=strides if repeat == 0 else 1,
                expansion=expansion,
                channels=_scaled(channels, scaling.width),
            )
            block += 1
    x = _relu6(layers, _conv_bn(layers, x, "head", _HEAD_CHANNELS), "head")
    return keras.Model(photos, x, name=name)


def stage_ends(scaling: Scaling) -> list[str]:
    """The last layer of each stage of `build`, from the first to the last before the head."""
    ends, block = [], -1
    for stage, (repeats, *_) in enumerate(_STAGES):
        at_an_end = stage in (0, len(_STAGES) - 1)
        block += repeats if at_an_end else math.ceil(repeats * scaling.depth)
        # A stage of one block changes the number of channels: there is nothing to add.
        ends.append(f"block{block:02d}_{'project_bn' if repeats == 1 else 'add'}")
    return ends


def _scaled(channels: int, width: float) -> int:
    """`channels` × `width` to the nearest multiple of 8, but not more than a tenth below."""
    exact = channels * width
    nearest = max(8, int(exact + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * exact else nearest


def _block(
    layers: ModuleType,
    inputs: Any,
    name: str,
    *,
    kernel: int,
    strides: int,
    expansion: int,
    channels: int,
) -> Any:
    """MBConv: expand, depthwise convolution, project; residual connection where shapes allow."""
    x = inputs
    if expansion != 1:
        x = _conv_bn(layers, x, f"{name}_expand", expansion * inputs.shape[-1])
        x = _relu6(layers, x, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer="zeros",
        name=f"{name}_depthwise_conv",
    )(x)
    x = _relu6(layers, _batch_norm(layers, x, f"{name}_depthwise"), f"{name}_depthwise")
    x = _conv_bn(layers, x, f"{name}_project", channels)
    if strides == 1 and inputs.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([inputs, x])
    return x


def _conv_bn(
    layers: ModuleType, x: Any, name: str, channels: int, kernel: int = 1, strides: int = 1
) -> Any:
    x = layers.Conv2D(
        channels,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="zeros",
        name=f"{name}_conv",
    )(x)
    return _batch_norm(layers, x, name)


def _batch_norm(layers: ModuleType, x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)


def _relu6(layers: ModuleType, x: Any, name: str) -> Any:
    return layers.ReLU(max_value=6, name=f"{name}_relu")(x)


def differences(model: Any, state: Mapping[str, np.ndarray]) -> list[str]:
    """Tensors that are missing, unknown or of another shape or dtype in weights for `model`.

    The classifier and the counters of the batch norms are required too, though nothing reads them.
    """
    expected = _expected_state(model)
    received = {name: (array.shape, array.dtype.name) for name, array in state.items()}
    return [
        f"{name}: expected {expected.get(name)}, received {received.get(name)}"
        for name in sorted(expected.keys() | received.keys())
        if expected.get(name) != received.get(name)
    ]


def _expected_state(model: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every tensor by its name in the file."""
    expected: dict[str, tuple[tuple[int, ...], str]] = {
        "_fc.weight": ((_CLASSES, _HEAD_CHANNELS), "float32"),
        "_fc.bias": ((_CLASSES,), "float32"),
    }
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix = _name_in_file(layer.name)
        shape = tuple(layer.weights[0].shape)
        if layer.name.endswith("_bn"):
            expected |= {f"{prefix}.{part}": (shape, "float32") for part in _BATCH_NORM}
            expected[f"{prefix}.num_batches_tracked"] = ((), "int64")
        else:
            height, width, inputs, outputs = (shape[axis] for axis in _kernel_axes(layer.name))
            expected[f"{prefix}.weight"] = ((outputs, inputs, height, width), "float32")
    return expected


def arrays_by_layer(model: Any, state: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The arrays of `state` under the names of the layers of `model`, in Keras's order and axes."""
    arrays = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix = _name_in_file(layer.name)
        if layer.name.endswith("_bn"):
            arrays[layer.name] = [state[f"{prefix}.{part}"] for part in _BATCH_NORM]
        else:
            kernel = state[f"{prefix}.weight"].transpose(2, 3, 1, 0)  # (h, w, in, out)
            arrays[layer.name] = [kernel.transpose(_kernel_axes(layer.name))]
    return arrays


def _name_in_file(layer: str) -> str:
    if layer in _OUTSIDE:
        return _OUTSIDE[layer]
    block, part = layer.split("_", 1)
    return f"_blocks.{int(block.removeprefix('block'))}.{_IN_BLOCK[part]}"


def _kernel_axes(layer: str) -> tuple[int, int, int, int]:
    """From (h, w, in, out) to the axes of the layer's own kernel, and back.

    A depthwise kernel is (h, w, channels, 1) in Keras and has one input per output in the file.
    """
    return (0, 1, 3, 2) if layer.endswith("_depthwise_conv") else (0, 1, 2, 3)
