"""A network of ours as OpenVINO runs it: the same layers, photo by photo, in 32-bit floats.

OpenVINO's own converter would need TensorFlow, which takes seconds to import before a single photo
is looked at; and what Keras exports runs at a third of the speed (LOG.md).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.network.network_file import Layer, NetworkFile, NotANetwork

# OpenVINO reports its use to its makers where this is installed beside it.
_TELEMETRY = "openvino_telemetry"
# Batch, height, width, channels to batch, channels, height, width, and back.
_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def import_openvino() -> ModuleType:
    """The module `openvino`, imported such that it can send nothing."""
    if "openvino" not in sys.modules:
        before = sys.modules.get(_TELEMETRY)
        # Python's way to say "not there": OpenVINO takes a stub of its own instead.
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
        try:
            import openvino
        finally:
            sys.modules.pop(_TELEMETRY)
            if before is not None:
                sys.modules[_TELEMETRY] = before
    import openvino

    return openvino


def compile_network(network: NetworkFile, outputs: Sequence[str], threads: int) -> Any:
    """The network for one photo (1, s, s, 3) uint8 at a time, as openvino.CompiledModel.

    Its outputs are those of the layers `outputs`: maps (1, h, w, channels) or vectors (1, d), all
    float32. Each of `threads` threads looks at a photo of its own. Raises NotANetwork.
    """
    ov = import_openvino()
    settings = {
        # Where a processor has bfloat16, OpenVINO takes it, and vectors are off by a tenth.
        "INFERENCE_PRECISION_HINT": "f32",
        "EXECUTION_MODE_HINT": "ACCURACY",
        "NUM_STREAMS": str(threads),
        "INFERENCE_NUM_THREADS": str(threads),
    }
    try:
        return ov.Core().compile_model(_build(network, outputs), "CPU", settings)
    except (
        *(KeyError, IndexError, TypeError),
        *(ValueError, RuntimeError, OverflowError),
    ) as error:
        raise NotANetwork(" ".join(str(error).split())) from None


def _build(network: NetworkFile, outputs: Sequence[str]) -> Any:
    from openvino import Model, Type, opset1

    photo = opset1.parameter([1, *network.input_shape], Type.u8, name="photo")
    numbers = opset1.convert(photo, "f32")
    nodes = {}
    for layer in network.layers.values():
        if layer.kind == "InputLayer":
            nodes[layer.name] = opset1.transpose(numbers, np.array(_TO_CHANNELS_FIRST))
        else:
            nodes[layer.name] = _LAYERS[layer.kind](
                opset1, layer, *(nodes[name] for name in layer.inputs)
            )
    results = [nodes[name] for name in outputs]
    last = [
        opset1.transpose(node, np.array(_TO_CHANNELS_LAST)) if _is_map(node) else node
        for node in results
    ]
    return Model(last, [photo], "network")


def _is_map(node: Any) -> bool:
    return len(node.output(0).get_partial_shape()) == 4


def _by_channel(values: Any) -> np.ndarray:
    """A number, or one per channel, such that it fits maps."""
    return np.asarray(values, np.float32).reshape(1, -1, 1, 1)


def _rescaling(op: Any, layer: Layer, x: Any) -> Any:
    scaled = op.multiply(x, _by_channel(layer.settings["scale"]))
    return op.add(scaled, _by_channel(layer.settings["offset"]))


def _zero_padding(op: Any, layer: Layer, x: Any) -> Any:
    (top, bottom), (left, right) = layer.settings["padding"]
    before, after = np.array([0, 0, top, left]), np.array([0, 0, bottom, right])
    return op.pad(x, before, after, "constant", arg_pad_value=np.float32(0))


def _conv(op: Any, layer: Layer, x: Any) -> Any:
    kernel = np.ascontiguousarray(layer.weights["kernel"].transpose(3, 2, 0, 1))
    return _finish(op, layer, op.convolution(x, kernel, **_windows(layer)))


def _depthwise_conv(op: Any, layer: Layer, x: Any) -> Any:
    kernel = layer.weights["kernel"].transpose(2, 3, 0, 1)  # (channels, 1, h, w)
    by_group = np.ascontiguousarray(kernel[:, :, None])
    return _finish(op, layer, op.group_convolution(x, by_group, **_windows(layer)))


def _windows(layer: Layer) -> dict[str, Any]:
    zeros = [0, 0]
    return {
        "strides": layer.settings["strides"],
        "dilations": layer.settings["dilation_rate"],
        "pads_begin": zeros,
        "pads_end": zeros,
        "auto_pad": _padding(layer),
    }


def _padding(layer: Layer) -> str:
    return {"same": "same_upper", "valid": "valid"}[layer.settings["padding"]]


def _finish(op: Any, layer: Layer, x: Any) -> Any:
    """Bias and activation of a layer that has them."""
    if "bias" in layer.weights:
        bias = layer.weights["bias"]
        x = op.add(x, _by_channel(bias) if _is_map(x) else bias[None])
    return _activation(op, layer, x)


def _activation(op: Any, layer: Layer, x: Any) -> Any:
    name = layer.settings["activation"]
    if name == "linear":
        return x
    if name == "relu":
        return op.relu(x)
    if name == "softmax" and not _is_map(x):
        return op.softmax(x, 1)
    raise ValueError(f"{layer.name}: the activation {name} is not known")


def _batch_norm(op: Any, layer: Layer, x: Any) -> Any:
    """One factor and one summand per channel, which OpenVINO folds into the convolution before."""
    weights = layer.weights
    variance = weights["moving_variance"].astype(np.float64)
    if (variance < 0).any():
        raise ValueError(f"{layer.name}: a variance is negative")
    factor = weights.get("gamma", 1.0) / np.sqrt(variance + layer.settings["epsilon"])
    summand = weights.get("beta", 0.0) - weights["moving_mean"] * factor
    return op.add(op.multiply(x, _by_channel(factor)), _by_channel(summand))


def _relu(op: Any, layer: Layer, x: Any) -> Any:
    if layer.settings["negative_slope"] or layer.settings["threshold"]:
        raise ValueError(f"{layer.name}: a ReLU of this kind is not known")
    highest = layer.settings["max_value"]
    return op.relu(x) if highest is None else op.clamp(x, 0.0, float(highest))


def _max_pooling(op: Any, layer: Layer, x: Any) -> Any:
    settings = layer.settings
    strides, size = settings["strides"], settings["pool_size"]
    zeros = [0, 0]
    # Of the first set of operations: later ones also say where the maxima were.
    return op.max_pool(x, strides, zeros, zeros, size, auto_pad=_padding(layer))


def _dense(op: Any, layer: Layer, x: Any) -> Any:
    return _finish(op, layer, op.matmul(x, layer.weights["kernel"], False, False))


def _global(reduce: str) -> Callable[[Any, Layer, Any], Any]:
    def pool(op: Any, _layer: Layer, x: Any) -> Any:
        return getattr(op, reduce)(x, np.array([2, 3]), keep_dims=False)

    return pool


_LAYERS: Mapping[str, Callable[..., Any]] = {
    "Rescaling": _rescaling,
    "ZeroPadding2D": _zero_padding,
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise_conv,
    "BatchNormalization": _batch_norm,
    "ReLU": _relu,
    "Activation": _activation,
    "Add": lambda op, _layer, *x: op.add(*x),
    "MaxPooling2D": _max_pooling,
    "GlobalAveragePooling2D": _global("reduce_mean"),
    "GlobalMaxPooling2D": _global("reduce_max"),
    "Concatenate": lambda op, _layer, *x: op.concat(list(x), 1),
    "Dense": _dense,
}
