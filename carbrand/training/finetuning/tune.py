"""Fine-tuning as a whole: held-out runs decide, then all photos are learned from.

The temperature of the model that ships is that of the held-out runs, whose networks learned from
fewer photos for as many epochs: it is likely to be a little too high, never fitted to seen photos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.scores.history import Epoch, describe_epoch
from carbrand.training.calibration import cross_fit, fit_temperature
from carbrand.training.finetuning.devices import distribute, dtype_policy
from carbrand.training.finetuning.fit import Photos, Run, compile_model, fit
from carbrand.training.finetuning.frozen_or_tuned import (
    Verdict,
    choose_folds,
    compare,
    mean_history,
)
from carbrand.training.finetuning.heads import extract, train_heads, widths_of
from carbrand.training.finetuning.run_file import RunFile
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.finetuning.trainable import make_trainable, resize_network
from carbrand.training.head import TrainedHead, assign_folds
from carbrand.training.held_out_file import HeldOut
from carbrand.vectors.standardizer import Standardizer

# Parts of the held-out photos that the temperature of the other parts is fitted on.
_PARTS = 5


@dataclass(frozen=True)
class Tuned:
    """The result of a run. kernel (d, brands), bias (brands,). logits: (held out, brands)."""

    kernel: np.ndarray
    bias: np.ndarray
    history: list[Epoch]
    logits: np.ndarray


@dataclass(frozen=True)
class TunedModel:
    """network: photos to vectors, for photos of predict_px, with its kernel (d, brands) and bias.

    verdict: against the frozen one. held_out: the numbers of the photos that both were asked about;
    logits (held out, brands): calibrated, of the tuned networks. history: mean over the held-out
    runs.
    network, kernel and bias are None where the frozen model ships.
    """

    verdict: Verdict
    temperature: float
    history: list[Epoch]
    held_out: np.ndarray
    logits: np.ndarray
    network: Any = None
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None


def tune(
    keras: ModuleType,
    network: Any,
    brands: int,
    frozen: HeldOut,
    photos: Photos,
    params: FinetuneParams,
    run_file: Callable[[str], RunFile],
    callbacks: Callable[[str], Sequence[Any]],
    progress: Callable[[str], AbstractContextManager[Callable[[int, str], None]]],
) -> TunedModel:
    """Tune `network` (photos to vectors) for so many brands.

    run_file, callbacks and progress: for the run of that name; progress is called with the number
    of each epoch and its metrics. Raises UserError.
    """
    policy = dtype_policy(params.precision)
    with distribute().scope():
        keras.config.set_dtype_policy(policy)
        copy = resize_network(keras, network, params.size_px, policy)
        vectors = extract(copy, photos.unchanged, len(photos.labels), params.batch_size)
        space = Standardizer.fit(vectors[:, None], widths_of(copy))
        trainable = make_trainable(keras, copy, space, brands, params)
        compile_model(keras, trainable, params)
        keras.config.set_dtype_policy("float32")
    final = resize_network(keras, network, params.predict_px)

    def heads_of(vectors: np.ndarray, folds: np.ndarray) -> TrainedHead:
        weights = photos.weights
        return train_heads(vectors, widths_of(copy), photos.labels, weights, folds, brands, params)

    def run(name: str, learned: np.ndarray, held_out: np.ndarray, start: np.ndarray) -> Tuned:
        """A run, and the head that is trained on what its network then sees of `learned`."""
        with progress(name) as show:
            weights, history = fit(
                keras,
                trainable,
                network.get_weights(),
                Run(name, learned, held_out, start),
                photos,
                params,
                run_file(name),
                callbacks(name),
                lambda epoch: show(epoch.epoch, describe_epoch(epoch)),
            )
        final.set_weights(weights)
        count = len(photos.labels)
        everyone = np.arange(count)
        vectors = extract(final, photos.enlarged, count, params.batch_size)
        # One fold holds out what the network has not seen; where it saw all, any two will do.
        folds = np.isin(everyone, learned).astype(int) if len(held_out) else everyone % 2
        head = heads_of(vectors, folds)
        return Tuned(head.kernel, head.bias, history, head.held_out_logits[held_out])

    first = heads_of(vectors, frozen.folds)
    results, held_out = [], []
    for fold in choose_folds(frozen.folds, params.compare_photos):
        asked = np.flatnonzero(frozen.folds == fold)
        held_out.append(asked)
        learned = np.flatnonzero(frozen.folds != fold)
        start = np.concatenate([first.fold_kernels[fold], first.fold_biases[fold][None]])
        results.append(run(f"without-fold-{fold}", learned, asked, start))
    asked = np.concatenate(held_out)
    verdict, temperature, logits = judge(results, asked, frozen, photos.labels, params)
    history = mean_history([result.history for result in results])
    if not verdict.ships_tuned:
        return TunedModel(verdict, temperature, history, asked, logits)
    everyone = np.arange(len(photos.labels))
    start = np.concatenate([first.kernel, first.bias[None]])
    shipped = run("all", everyone, everyone[:0], start)
    return TunedModel(
        verdict, temperature, history, asked, logits, final, shipped.kernel, shipped.bias
    )


def judge(
    results: Sequence[Tuned],
    asked: np.ndarray,
    frozen: HeldOut,
    labels: np.ndarray,
    params: FinetuneParams,
) -> tuple[Verdict, float, np.ndarray]:
    """The verdict on the photos `asked`, the temperature, and calibrated logits (asked, brands)."""
    raw = np.concatenate([result.logits for result in results]).astype(np.float64)
    groups = [frozen.groups[number] for number in asked]
    temperature = fit_temperature(raw, labels[asked])
    parts = assign_folds(labels[asked], groups, _PARTS, params.seed)
    logits = cross_fit(raw, labels[asked], parts)
    return compare(frozen.logits[asked], logits, labels[asked], params), temperature, logits
