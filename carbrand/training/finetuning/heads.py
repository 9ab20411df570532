"""Heads of fine-tuning: the ones that runs start from, and the one that is trained anew at the end.

Both are trained as in `train`, on vectors of the very network at the very size: a head for another
size would first ruin the network, or ruin what it has learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from carbrand.training.finetuning.photo_batches import PhotoCache, held_out_batches
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.head import HeadParams, TrainedHead, train_head
from carbrand.vectors.array_file import map_parts

# The defaults of `train`.
EPOCHS, L2 = 50, 0.0003
# Vectors of so many batches are in memory.
BATCHES = 64


def extract(network: Any, photos: PhotoCache, count: int, batch_size: int) -> np.ndarray:
    """The vectors (count, d) float32 of all photos, as a memory map of a temporary file."""
    targets = np.zeros((count, 1), np.float32)

    def predict(rows: np.ndarray) -> np.ndarray:
        batches = held_out_batches(photos, rows, targets, batch_size)
        return network.predict(batches, verbose=0)

    # Keras's `predict` has all that it returns in memory twice.
    step = BATCHES * batch_size
    parts = (predict(np.arange(n, min(n + step, count))) for n in range(0, count, step))
    return map_parts(parts, np.dtype(np.float32), (count, network.output.shape[-1]))


def widths_of(network: Any) -> list[int]:
    """The widths of the kinds of features that the network concatenates."""
    parts = network.layers[-1].input
    kinds = parts if isinstance(parts, list) else [network.output]
    return [int(kind.shape[-1]) for kind in kinds]


def train_heads(
    vectors: np.ndarray,
    widths: Sequence[int],
    labels: np.ndarray,
    weights: np.ndarray,
    folds: np.ndarray,
    brands: int,
    params: FinetuneParams,
) -> TrainedHead:
    """A head for all photos, and one for each fold that has not seen its photos."""
    settings = HeadParams(EPOCHS, L2, params.label_smoothing)
    return train_head(vectors[:, None], labels, folds, weights, brands, widths, settings)
