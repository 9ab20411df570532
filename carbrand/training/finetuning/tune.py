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
from carbrand.training.finetuning.fit import Photos, Run, Tuned, compile_model, fit
from carbrand.training.finetuning.frozen_or_tuned import (
    Verdict,
    choose_folds,
    compare,
    mean_history,
)
from carbrand.training.finetuning.photo_batches import held_out_batches
from carbrand.training.finetuning.run_file import RunFile
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.finetuning.trainable import make_trainable, resize_network
from carbrand.training.head import HeadParams, assign_folds, train_head
from carbrand.training.held_out_file import HeldOut
from carbrand.vectors.standardizer import Standardizer

# Parts of the held-out photos that the temperature of the other parts is fitted on.
_PARTS = 5
# Of the heads that the runs start from: the defaults of `train`.
HEAD_EPOCHS, HEAD_L2 = 50, 0.0003


@dataclass(frozen=True)
class TunedModel:
    """network: photos to vectors, float32. head: (d + 1, brands). verdict: against the frozen one.

    held_out: the numbers of the photos that both were asked about; logits (held out, brands):
    calibrated, of the tuned networks. history: mean over the held-out runs.
    network and head are None where the frozen model ships.
    """

    verdict: Verdict
    temperature: float
    history: list[Epoch]
    held_out: np.ndarray
    logits: np.ndarray
    network: Any = None
    head: np.ndarray | None = None


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
        vectors = extract(copy, photos, params)
        space = Standardizer.fit(vectors[:, None], widths_of(copy))
        trainable = make_trainable(keras, copy, space, brands, params)
        compile_model(keras, trainable, params)
        keras.config.set_dtype_policy("float32")
    heads = train_start_heads(vectors, widths_of(copy), photos, frozen.folds, brands, params)

    def run(name: str, learned: np.ndarray, held_out: np.ndarray, start: np.ndarray) -> Tuned:
        with progress(name) as show:
            return fit(
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

    results, held_out = [], []
    for fold in choose_folds(frozen.folds, params.compare_photos):
        asked = np.flatnonzero(frozen.folds == fold)
        held_out.append(asked)
        learned = np.flatnonzero(frozen.folds != fold)
        results.append(run(f"without-fold-{fold}", learned, asked, heads[fold]))
    return _decide(
        results,
        np.concatenate(held_out),
        frozen,
        photos.labels,
        params,
        lambda: run("all", np.arange(len(photos.labels)), np.arange(0), heads[-1]),
        lambda tuned: _float32(keras, network, params, tuned),
    )


def extract(network: Any, photos: Photos, params: FinetuneParams) -> np.ndarray:
    """The vectors (n, d) float32 of all unchanged photos."""
    everyone = np.arange(len(photos.labels))
    targets = np.zeros((len(everyone), 1), np.float32)
    batches = held_out_batches(photos.unchanged, everyone, targets, params.batch_size)
    return network.predict(batches, verbose=0).astype(np.float32)


def widths_of(network: Any) -> list[int]:
    """The widths of the kinds of features that the network concatenates."""
    parts = network.layers[-1].input
    return (
        [int(part.shape[-1]) for part in parts]
        if isinstance(parts, list)
        else [int(network.output.shape[-1])]
    )


def train_start_heads(
    vectors: np.ndarray,
    widths: Sequence[int],
    photos: Photos,
    folds: np.ndarray,
    brands: int,
    params: FinetuneParams,
) -> np.ndarray:
    """The heads that the runs start from, (folds + 1, d + 1, brands); the last saw all photos.

    They are trained as in `train`, but on what the network sees at `finetune.size_px`: those of
    another size would first ruin it.
    """
    settings = HeadParams(HEAD_EPOCHS, HEAD_L2, params.label_smoothing)
    trained = train_head(
        vectors[:, None], photos.labels, folds, photos.weights, brands, widths, settings
    )
    kernels = np.concatenate([trained.fold_kernels, trained.kernel[None]])
    biases = np.concatenate([trained.fold_biases, trained.bias[None]])
    return np.concatenate([kernels, biases[:, None]], axis=1)


def _decide(
    results: Sequence[Tuned],
    asked: np.ndarray,
    frozen: HeldOut,
    labels: np.ndarray,
    params: FinetuneParams,
    train_on_all: Callable[[], Tuned],
    make_network: Callable[[Tuned], Any],
) -> TunedModel:
    """Compare on the photos `asked`; where the tuned model wins, make the one that ships."""
    raw = np.concatenate([result.logits for result in results]).astype(np.float64)
    labels = labels[asked]
    groups = [frozen.groups[number] for number in asked]
    temperature = fit_temperature(raw, labels)
    logits = cross_fit(raw, labels, assign_folds(labels, groups, _PARTS, params.seed))
    verdict = compare(frozen.logits[asked], logits, labels, params)
    history = mean_history([result.history for result in results])
    if not verdict.ships_tuned:
        return TunedModel(verdict, temperature, history, asked, logits)
    shipped = train_on_all() if params.retrain else results[0]
    return TunedModel(
        verdict, temperature, history, asked, logits, make_network(shipped), shipped.head
    )


def _float32(keras: ModuleType, network: Any, params: FinetuneParams, tuned: Tuned) -> Any:
    """The network with tuned weights, whatever precision it was trained in."""
    copy = resize_network(keras, network, params.size_px)
    copy.set_weights(tuned.weights)
    return copy
