"""Softmax regression by Adam, in batches: for so many photos that few epochs must suffice."""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any

import numpy as np

from carbrand.network.keras_import import import_keras
from carbrand.parallel.batches import prefetch_map
from carbrand.scores.history import Epoch
from carbrand.training.checkpoint import Checkpoint
from carbrand.training.problem import EvaluateEpoch, Problem, Weights
from carbrand.vectors.array_file import release_pages

# Steps per epoch at most; batches are larger than `batch_size` where needed. More and smaller steps
# would cost time without a better result.
MAX_STEPS = 500


def train_by_adam(
    problem: Problem,
    evaluate: EvaluateEpoch,
    checkpoint: Checkpoint,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> tuple[Weights, list[Epoch]]:
    """The weights of all heads after `problem.epochs` epochs, and the history.

    The next batches are read while the model is trained on the current one.
    """
    keras = import_keras()
    rng = np.random.default_rng(seed)
    every_view = problem.vectors.reshape(-1, problem.vectors.shape[-1])
    size = max(batch_size, -(-len(every_view) // MAX_STEPS))
    steps = problem.epochs * -(-len(every_view) // size)
    model = _build(keras, problem, steps, learning_rate)

    def load(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors, labels and weights of a batch; labels and weights for each head."""
        photos = rows // problem.views
        weights = problem.in_training[photos] * problem.photo_weights[photos, None]
        labels = np.broadcast_to(problem.labels[photos, None], weights.shape)
        placed = problem.space.transform(every_view[rows])
        release_pages(every_view)
        return placed, labels, weights

    history = _restore(model, checkpoint.load_state())
    resumed = len(history)
    checkpoint.print_resumed(resumed + 1, problem.epochs)
    for number in range(1, problem.epochs + 1):
        order = rng.permutation(len(every_view))
        if number <= resumed:
            continue
        batches = (order[start : start + size] for start in range(0, len(order), size))
        for inputs, labels, weights in prefetch_map(load, batches, ahead=2):
            model.train_on_batch(inputs, labels, sample_weight=weights)
        history.append(evaluate(number, Weights(*model.get_weights())))
        checkpoint.save_state(lambda: _get_state(model, history))
    return Weights(*model.get_weights()), history


def _variables(model: Any) -> list[Any]:
    """All variables that training changes."""
    return [*model.trainable_variables, *model.optimizer.variables]


def _get_state(model: Any, history: list[Epoch]) -> np.ndarray:
    """The state of training, float64 (k,), which represents float32 and step counts exactly."""
    rows = np.array([astuple(epoch) for epoch in history])
    values = [np.asarray(variable).ravel() for variable in _variables(model)]
    return np.concatenate([[len(rows)], rows.ravel(), *values])


def _restore(model: Any, state: np.ndarray | None) -> list[Epoch]:
    """Set the model to a state, and return the history up to there."""
    if state is None:
        return []
    columns = len(fields(Epoch))
    at = 1 + int(state[0]) * columns
    rows = state[1:at].reshape(-1, columns)
    for variable in _variables(model):
        size = int(np.prod(variable.shape))
        value = state[at : at + size].reshape(variable.shape)
        variable.assign(value.astype(np.asarray(variable).dtype))
        at += size
    return [Epoch(int(number), *rest) for number, *rest in rows]


def _build(keras: Any, problem: Problem, steps: int, learning_rate: float) -> Any:
    heads, brands = problem.heads, problem.brands
    model = keras.Sequential(
        [
            keras.Input((problem.vectors.shape[-1],)),
            keras.layers.Dense(
                heads * brands,
                kernel_initializer="zeros",
                kernel_regularizer=keras.regularizers.L2(problem.l2 / problem.photos),
            ),
            keras.layers.Reshape((heads, brands)),
        ]
    )

    def loss(labels: Any, logits: Any) -> Any:
        # Keras averages over the heads; times their number, each is trained as if it were alone.
        return heads * keras.losses.categorical_crossentropy(
            keras.ops.one_hot(keras.ops.cast(labels, "int32"), brands),
            logits,
            from_logits=True,
            label_smoothing=problem.label_smoothing,
        )

    # Decays to 0 over the epochs, so that training converges.
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss)
    # Otherwise the first step creates the variables, and TensorFlow traces the step twice.
    model.optimizer.build(model.trainable_variables)
    return model
