"""The network as Keras trains it: with another input size, logits, and some layers frozen."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.node.errors import UserError
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.vectors.standardizer import Standardizer

# The norm of the vectors that the head learns on. A step of Adam then moves a logit by some tenths.
HEAD_SCALE = 10.0


class Trainable:
    """network: photos (n, s, s, 3) in 0…255 to vectors (n, d). model: to logits (n, brands)."""

    def __init__(self, network: Any, model: Any, space: Standardizer) -> None:
        self.network = network
        self.model = model
        self._space = space
        self._first: list[np.ndarray] = []

    def compile(self, optimizer: Any, loss: Any, metrics: Sequence[Any]) -> None:
        """Make it ready for `fit`, and remember how the optimizer and the draws begin."""
        self.model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
        self.model.optimizer.build(self.model.trainable_variables)
        self._first = [variable.numpy() for variable in self._course()]

    def _course(self) -> list[Any]:
        """What changes besides the weights: the draws, and the optimizer's variables."""
        return [*self._draws(), *self.model.optimizer.variables]

    def _draws(self) -> list[Any]:
        """The states of the generators that dropout draws from."""
        generators = [getattr(layer, "seed_generator", None) for layer in self.model.layers]
        return [generator.state for generator in generators if generator is not None]

    def get_weights(self) -> list[np.ndarray]:
        """Of the network, float32."""
        return self.network.get_weights()

    def start_from(self, weights: Sequence[np.ndarray], head: np.ndarray) -> None:
        """Set the weights of the network and of the head; the optimizer and draws start anew.

        head: (d + 1, brands) for raw vectors, the bias as the last row.
        """
        for variable, value in zip(self._course(), self._first, strict=True):
            variable.assign(value)
        self.network.set_weights(weights)
        raw, bias = head[:-1], head[-1]
        kernel = raw * self._space.scale[:, None] / HEAD_SCALE
        self.model.get_layer("head").set_weights([kernel, bias + self._space.mean @ raw])

    def get_state(self) -> list[np.ndarray]:
        """All that determines the next step: weights, the optimizer's variables, and draws."""
        return [variable.numpy() for variable in self._state()]

    def set_state(self, values: Sequence[np.ndarray]) -> bool:
        """Whether the values are of this model; then they are set."""
        variables = self._state()
        if [value.shape for value in values] != [tuple(v.shape) for v in variables]:
            return False
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return True

    def _state(self) -> list[Any]:
        return [*self.model.weights, *self._course()]


def resize_network(keras: ModuleType, network: Any, size_px: int, policy: str = "float32") -> Any:
    """A copy of the network for photos of `size_px`, which computes by the dtype policy.

    Raises UserError where its weights depend on the size.
    """

    def copy(layer: Any) -> Any:
        return layer.from_config(layer.get_config() | {"dtype": policy})

    photos = keras.Input((size_px, size_px, 3), name=network.inputs[0].name)
    inputs = [photos] if isinstance(network.input, list) else photos
    try:
        resized = keras.models.clone_model(network, input_tensors=inputs, clone_function=copy)
        resized.set_weights(network.get_weights())
    except ValueError as error:
        raise UserError(
            f"finetune.size_px: {size_px} does not suit the network, which was built"
            f" for {network.inputs[0].shape[1]} ({' '.join(str(error).split())[:200]}). Set it and "
            f"finetune.predict_px to features.size_px, or finetune.epochs: 0."
        ) from None
    return resized


def make_trainable(
    keras: ModuleType, network: Any, space: Standardizer, brands: int, params: FinetuneParams
) -> Trainable:
    """The network with dropout and a head of logits; which layers learn is set.

    The head learns on standardized vectors: the same rate then suits averages and maxima, and
    backbones whose vectors are large.
    """
    set_learning_layers(keras, network, params)
    vectors = keras.layers.Normalization(
        mean=space.mean,
        variance=(space.scale / HEAD_SCALE) ** 2,
        name="standardize",
        dtype="float32",
    )(network.output)
    if params.dropout:
        vectors = keras.layers.Dropout(params.dropout, seed=params.seed, name="dropout")(vectors)
    logits = keras.layers.Dense(brands, name="head", dtype="float32")(vectors)
    return Trainable(network, keras.Model(network.inputs, logits, name="logits"), space)


def set_learning_layers(keras: ModuleType, network: Any, params: FinetuneParams) -> None:
    """Freeze the first `frozen_share` of the layers, and, unless they are trained, batch norms.

    A frozen batch norm uses the statistics of ImageNet: those of a batch of 32 photos are noise.
    """
    weighted = [layer for layer in network.layers if layer.weights]
    first = round(params.frozen_share * len(weighted))
    for number, layer in enumerate(weighted):
        frozen_norm = params.batch_norm == "frozen" and isinstance(
            layer, keras.layers.BatchNormalization
        )
        layer.trainable = number >= first and not frozen_norm
