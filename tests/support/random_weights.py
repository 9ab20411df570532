"""Networks of keras.applications with random weights, since theirs are a download."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

# Modules of keras.applications, by how the names of their networks begin; the first one counts.
_MODULES = {
    **{"convnext": "convnext", "densenet": "densenet", "efficientnetb": "efficientnet"},
    **{"efficientnetv2": "efficientnet_v2", "inceptionresnet": "inception_resnet_v2"},
    **{"inceptionv3": "inception_v3", "mobilenetv2": "mobilenet_v2"},
    **{"mobilenetv3": "mobilenet_v3", "mobilenet": "mobilenet", "nasnet": "nasnet"},
    **{"vgg16": "vgg16", "vgg19": "vgg19", "xception": "xception"},
}
_BRANCH = 0.2
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def preprocess(keras: ModuleType, name: str, photos: np.ndarray) -> np.ndarray:
    """Photos as Keras itself would hand them to the network `name`."""
    if name.startswith("efficientnetb"):
        # With ImageNet's weights there are a mean and a deviation in the network; without, none.
        return ((photos / 255.0 - _MEAN) / _DEVIATION * 255.0).astype("f4")
    resnet = "resnet_v2" if name.endswith("v2") else "resnet"
    module = next((m for start, m in _MODULES.items() if name.startswith(start)), resnet)
    preprocess_input = getattr(keras.applications, module).preprocess_input
    return np.asarray(preprocess_input(photos.astype("f4")))


def randomise(model: Any) -> None:
    """Weights that tell every array from every other, and under which no map grows or vanishes."""
    rng = np.random.default_rng(2)
    for layer in _layers(model):
        if type(layer).__name__ != "Normalization":
            layer.set_weights([_draw(rng, layer, weight) for weight in layer.weights])


def shrink_branches(model: Any) -> None:
    """Make residual branches small, as Inception-ResNet has them (Szegedy et al. 2016).

    With random weights each branch multiplies the rounding errors before it. After a hundred layers
    no engine with 32-bit floats is within 1e-4 of the same network in 64-bit ones.
    """
    places = {layer: place for place, layer in enumerate(_layers(model))}
    for layer in list(places):
        if type(layer).__name__ == "Add":
            ends = [end for end in map(_last_with_weights, layer.input) if end in places]
            if ends:
                branch = max(ends, key=places.__getitem__)  # the other one skips it
                first, *others = branch.get_weights()  # a gamma or a kernel
                branch.set_weights([_BRANCH * first, *others])


def _last_with_weights(tensor: Any) -> Any:
    """The last layer with weights on the way to a tensor; None where that begins at a skip."""
    layer = tensor._keras_history.operation
    while not layer.weights:
        if isinstance(layer.input, list) or type(layer).__name__ == "InputLayer":
            return None
        layer = layer.input._keras_history.operation
    return layer


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def _draw(rng: np.random.Generator, layer: Any, weight: Any) -> np.ndarray:
    shape = tuple(weight.shape)
    if weight.name in ("gamma", "moving_variance", "variable"):
        return rng.uniform(0.5, 1.0, shape)
    if len(shape) == 1:
        return rng.normal(0, 0.1, shape)
    by_channel = type(layer).__name__ == "DepthwiseConv2D" or weight.name == "depthwise_kernel"
    return rng.normal(0, np.sqrt(2 / np.prod(shape[:2] if by_channel else shape[:-1])), shape)
