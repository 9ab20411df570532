"""One run of fine-tuning: Keras's `fit` from a head that was trained on the frozen backbone.

First the head, then everything: Kumar et al. 2022, arXiv:2202.10054.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.node.errors import UserError
from carbrand.scores.files.history import Epoch
from carbrand.training.finetuning.optimizer import learning_rate, make_optimizer
from carbrand.training.finetuning.photo_batches import (
    PhotoCache,
    held_out_batches,
    training_batches,
)
from carbrand.training.finetuning.run_file import RunFile
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.finetuning.trainable import Trainable

# `val_*` of the epochs of a run that holds no photo out.
NONE_HELD_OUT = float("nan")


@dataclass(frozen=True)
class Photos:
    """The photos of all runs: to crop from, as the network learns from them, and as it then sees.

    labels: (n,) int. weights: (n,) float32, mean 1.
    """

    augmented: PhotoCache
    unchanged: PhotoCache
    enlarged: PhotoCache
    labels: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Run:
    """One training. learned and held_out: numbers of photos. head: (d + 1, brands), its start."""

    name: str
    learned: np.ndarray
    held_out: np.ndarray
    head: np.ndarray


def compile_model(keras: ModuleType, trainable: Trainable, params: FinetuneParams) -> None:
    """Set loss, metrics and optimizer. The metric `log_loss` is that of unsmoothed targets."""
    trainable.compile(
        make_optimizer(keras, trainable.model, params),
        keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=params.label_smoothing
        ),
        [
            "accuracy",
            keras.metrics.CategoricalCrossentropy(from_logits=True, name="log_loss"),
        ],
    )


def fit(
    keras: ModuleType,
    trainable: Trainable,
    start: Sequence[np.ndarray],
    run: Run,
    photos: Photos,
    params: FinetuneParams,
    file: RunFile,
    callbacks: Sequence[Any],
    on_epoch: Callable[[Epoch], object],
) -> tuple[list[np.ndarray], list[Epoch]]:
    """The weights of the network and the epochs, from weights `start`, or from where `file` ends.

    callbacks: of Keras, more of them. Raises UserError if the loss is no finite number.
    """
    trainable.start_from(start, run.head)
    history: list[Epoch] = []
    saved = file.load()
    if saved and trainable.set_state(saved[0]):
        history = saved[1]
    brands = run.head.shape[1]
    targets = np.eye(brands, dtype=np.float32)[photos.labels]
    held_out = held_out_batches(photos.unchanged, run.held_out, targets, params.batch_size)
    if len(history) < params.epochs:
        own = _Steps(keras, trainable, params, len(run.learned), file, history, on_epoch)
        trainable.model.fit(
            training_batches(
                photos.augmented, run.learned, targets, photos.weights, params, len(history)
            ),
            epochs=params.epochs,
            initial_epoch=len(history),
            steps_per_epoch=params.steps(len(run.learned)),
            validation_data=held_out if len(run.held_out) else None,
            callbacks=[own.callback, *callbacks],
            shuffle=False,
            verbose=0,
        )
    elif params.ema:  # `fit` does so at its end
        trainable.model.optimizer.finalize_variable_values(trainable.model.trainable_variables)
    return trainable.get_weights(), history


class _Steps:
    """What happens at each step and epoch of `fit`: the rate, the check of the loss, the file."""

    def __init__(
        self,
        keras: ModuleType,
        trainable: Trainable,
        params: FinetuneParams,
        learned: int,
        file: RunFile,
        history: list[Epoch],
        on_epoch: Callable[[Epoch], object],
    ) -> None:
        self._trainable = trainable
        self._params = params
        self._per_epoch = params.steps(learned)
        self._file = file
        self._history = history
        self._on_epoch = on_epoch
        self.callback = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, **_: self._set_rate(batch),
            on_train_batch_end=lambda *_, logs: self._check_loss(logs["loss"]),
            on_epoch_end=self._end_epoch,
        )

    def _set_rate(self, batch: int) -> None:
        step = len(self._history) * self._per_epoch + batch
        rate = learning_rate(step, self._params.epochs * self._per_epoch, self._params)
        self._trainable.model.optimizer.learning_rate = rate

    def _check_loss(self, loss: float) -> None:
        if not np.isfinite(loss):
            raise UserError(
                f"finetune: the loss was no finite number in epoch {len(self._history) + 1} with "
                f"finetune.learning_rate {self._params.learning_rate:g}. Lower it."
            )

    def _end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        self._history.append(
            Epoch(
                epoch + 1,
                float(logs["log_loss"]),
                float(logs["accuracy"]),
                float(logs.get("val_log_loss", NONE_HELD_OUT)),
                float(logs.get("val_accuracy", NONE_HELD_OUT)),
            )
        )
        self._file.save(self._trainable.get_state(), self._history)
        self._on_epoch(self._history[-1])
