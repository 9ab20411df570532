"""Fine-tuning as a whole: held-out runs decide, then all photos are learned from.

The temperature of the model that ships is that of the held-out runs, whose networks learned from
fewer photos for as many epochs: it is likely to be a little too high, never fitted to seen photos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.scores.files.history import Epoch, describe_epoch
from carbrand.scores.held_out_score import HeldOutScore, count_held_out
from carbrand.scores.unknown import BrandSpace
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
from carbrand.training.finetuning.photo_batches import PhotoCache
from carbrand.training.finetuning.run_file import RunFile
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.finetuning.trainable import make_trainable, resize_network
from carbrand.training.head import TrainedHead, assign_folds
from carbrand.training.held_out_file import HeldOut
from carbrand.vectors.array_file import select_rows
from carbrand.vectors.standardizer import Standardizer

# Parts of the held-out photos that the temperature of the other parts is fitted on.
_PARTS = 5


@dataclass(frozen=True)
class Tuned:
    """The result of a run. kernel (d, brands), bias (brands,). logits: (held out, brands).

    space: of the photos learned from. distances: (held out, 2), in it.
    """

    kernel: np.ndarray
    bias: np.ndarray
    history: list[Epoch]
    logits: np.ndarray
    space: BrandSpace
    distances: np.ndarray


@dataclass(frozen=True)
class Asked:
    """Held-out photos as the held-out runs see them, and the space of the model that ships.

    logits (n, brands): calibrated. distances (n, 2): each in the space of its run.
    """

    labels: np.ndarray
    logits: np.ndarray
    distances: np.ndarray
    space: BrandSpace


@dataclass(frozen=True)
class TunedModel:
    """network: photos to vectors, for photos of predict_px, with its kernel (d, brands) and bias.

    verdict: against the frozen one. history: mean over the held-out runs. held_out: what they
    promise. network, kernel and bias are None where the frozen model ships, and so is what the
    held-out runs say of their photos.
    """

    verdict: Verdict
    temperature: float
    history: list[Epoch]
    held_out: HeldOutScore
    network: Any = None
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    asked: Asked | None = None


@dataclass(frozen=True)
class Watch:
    """What a run, by its name, is given to be watched and resumed by.

    run_file: where its state is kept. callbacks: of Keras. progress: a context that gives a
    function to call with the number of each epoch and its metrics.
    """

    run_file: Callable[[str], RunFile]
    callbacks: Callable[[str], Sequence[Any]]
    progress: Callable[[str], AbstractContextManager[Callable[[int, str], None]]]


def tune(
    keras: ModuleType,
    network: Any,
    brands: int,
    frozen: HeldOut,
    photos: Photos,
    params: FinetuneParams,
    watch: Watch,
) -> TunedModel:
    """Tune `network` (photos to vectors) for so many brands. Raises UserError."""
    tuner = _Tuner(keras, network, brands, photos, params, watch, frozen.folds)
    first = tuner.start_heads
    results, held_out = [], []
    for fold in choose_folds(frozen.folds, params.compare_photos):
        held_out.append(np.flatnonzero(frozen.folds == fold))
        start = _rows(first.fold_kernels[fold], first.fold_biases[fold])
        learned = np.flatnonzero(frozen.folds != fold)
        results.append(tuner.run(f"without-fold-{fold}", learned, held_out[-1], start))
    asked = np.concatenate(held_out)
    raw = np.concatenate([result.logits for result in results]).astype(np.float64)
    labels, series = photos.labels[asked], [frozen.groups[number] for number in asked]
    parts = assign_folds(labels, series, _PARTS, params.seed)
    logits = cross_fit(raw, labels, parts)
    tuned = TunedModel(
        compare(frozen.logits[asked], logits, labels, params),
        fit_temperature(raw, labels),
        mean_history([result.history for result in results]),
        count_held_out(raw, labels, sorted(set(frozen.brands)), series),
    )
    if not tuned.verdict.ships_tuned:
        return tuned
    everyone = np.arange(len(photos.labels))
    shipped = tuner.run("all", everyone, everyone[:0], _rows(first.kernel, first.bias))
    distances = np.concatenate([result.distances for result in results])
    said = Asked(labels, logits, distances, shipped.space)
    return replace(tuned, network=tuner.final, kernel=shipped.kernel, bias=shipped.bias, asked=said)


def _rows(kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(d + 1, brands): the bias as the last row."""
    return np.concatenate([kernel, bias[None]])


class _Tuner:
    """One network and one training step for all runs: TensorFlow traces it once.

    final: the network for photos of predict_px, with the weights of the last run. start_heads: for
    the untuned network, one for all photos, and one for each fold without its own.
    """

    def __init__(
        self,
        keras: ModuleType,
        network: Any,
        brands: int,
        photos: Photos,
        params: FinetuneParams,
        watch: Watch,
        folds: np.ndarray,
    ) -> None:
        self._keras, self._brands = keras, brands
        self._photos, self._params, self._watch = photos, params, watch
        self._untuned = network.get_weights()
        policy = dtype_policy(params.precision)
        with distribute().scope():
            keras.config.set_dtype_policy(policy)
            copy = resize_network(keras, network, params.size_px, policy)
            self._widths = widths_of(copy)
            vectors = self._extract(copy, photos.unchanged)
            space = Standardizer.fit(vectors[:, None], self._widths)
            self._trainable = make_trainable(keras, copy, space, brands, params)
            compile_model(keras, self._trainable, params)
            keras.config.set_dtype_policy("float32")
        self.start_heads = self._train_heads(vectors, folds)
        self.final = resize_network(keras, network, params.predict_px)

    def run(self, name: str, learned: np.ndarray, held_out: np.ndarray, start: np.ndarray) -> Tuned:
        """Tune on the photos `learned`, and train the head on what the network then sees of them.

        start: the head to start from, (d + 1, brands). held_out may be empty.
        """
        with self._watch.progress(name) as show:
            weights, history = fit(
                self._keras,
                self._trainable,
                self._untuned,
                Run(name, learned, held_out, start),
                self._photos,
                self._params,
                self._watch.run_file(name),
                self._watch.callbacks(name),
                lambda epoch: show(epoch.epoch, describe_epoch(epoch)),
            )
        self.final.set_weights(weights)
        vectors = self._extract(self.final, self._photos.enlarged)
        everyone = np.arange(len(vectors))
        # One fold holds out what the network has not seen; where it saw all, any two will do.
        folds = np.isin(everyone, learned).astype(int) if len(held_out) else everyone % 2
        head = self._train_heads(vectors, folds)
        seen, unseen = (select_rows(vectors, rows.tolist()) for rows in (learned, held_out))
        space = BrandSpace.fit(seen, self._photos.labels[learned], self._widths)
        distances = space.distances(unseen)
        logits = head.held_out_logits[held_out]
        return Tuned(head.kernel, head.bias, history, logits, space, distances)

    def _extract(self, network: Any, photos: PhotoCache) -> np.ndarray:
        return extract(network, photos, len(self._photos.labels), self._params.batch_size)

    def _train_heads(self, vectors: np.ndarray, folds: np.ndarray) -> TrainedHead:
        labels, weights = self._photos.labels, self._photos.weights
        return train_heads(
            vectors, self._widths, labels, weights, folds, self._brands, self._params
        )
