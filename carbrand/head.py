"""Train the classifying head on the vectors of a frozen backbone.

The folds of a cross-validation and the head that ships are trained side by side, as the columns of
one Dense layer: head `h` of the first F never sees the photos of fold `h`, the last head sees all.
So every training photo is predicted by a head that has not seen it, the curves are those of held
out photos, and no second training is needed for the model that ships. (What all heads share is the
centre and the length of the vectors, which know no labels.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from carbrand.history import Epoch
from carbrand.progress import track
from carbrand.quiet_keras import import_keras


@dataclass(frozen=True)
class HeadParams:
    """See the section `train` of params.yaml."""

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    l2: float
    label_smoothing: float
    seed: int


@dataclass(frozen=True)
class TrainedHead:
    """`kernel` (d, brands) and `bias` (brands,), for vectors as they come from the backbone.

    `held_out_logits` (n, brands): those of every training photo, as it is, by the head that has
    not seen it, at the best epoch. `folds` (n,) int: which head that is.
    """

    kernel: np.ndarray
    bias: np.ndarray
    held_out_logits: np.ndarray
    folds: np.ndarray
    history: list[Epoch]
    best_epoch: int

    @property
    def held_out(self) -> np.ndarray:
        """The same as probabilities."""
        return softmax(self.held_out_logits)


def assign_folds(labels: np.ndarray, groups: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """A fold number for every photo, (n,) int: each brand spread as evenly as it goes.

    Photos of one group, copies of one another, share a fold: what is held out is not seen under
    another name. There are at most as many folds as groups. The dealing goes on from brand to
    brand, so that the folds are of one size too.
    """
    rng = np.random.default_rng(seed)
    _, first, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    label_of_group = labels[first]
    dealt = np.concatenate(
        [rng.permutation(np.flatnonzero(label_of_group == label)) for label in np.unique(labels)]
    )
    fold_of_group = np.empty(len(first), np.int64)
    fold_of_group[dealt] = np.arange(len(dealt)) % min(folds, len(dealt))
    return fold_of_group[group]


def balance(labels: np.ndarray, brands: int) -> np.ndarray:
    """A weight per photo, (n,) float32, that gives every brand the same say; their mean is 1."""
    counts = np.bincount(labels, minlength=brands)
    return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)


def train_head(
    vectors: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    photo_weights: np.ndarray,
    brands: int,
    blocks: int,
    params: HeadParams,
) -> TrainedHead:
    """Softmax regression by Adam with early stopping on the held-out loss.

    vectors: (n, views, d) float32, view 0 being the photo as it is. labels: (n,) int.
    folds: (n,) int. photo_weights: (n,) float32, mean 1. blocks: how many kinds of features the
    vectors hold side by side, all of one width.
    """
    keras = import_keras()
    rng = np.random.default_rng(params.seed)
    photos, views, width = vectors.shape
    heads = int(folds.max()) + 2
    sees = np.stack([folds != fold for fold in range(heads - 1)] + [np.ones(photos, bool)], axis=1)

    # Centred and near 1, so that one learning rate fits every backbone; undone in the end.
    mean, scale = standardize(vectors, blocks)
    plain = (vectors[:, 0] - mean) / scale
    every_view = (vectors.reshape(-1, width) - mean) / scale
    weights = np.repeat(sees * photo_weights[:, None], views, axis=0)
    targets = np.repeat(np.broadcast_to(labels[:, None], sees.shape), views, axis=0)

    # A prior on the weights counts once, however many photos there are (as 1 / C in liblinear).
    penalty = params.l2 / photos
    steps = params.epochs * -(-len(every_view) // params.batch_size)
    model = _build(keras, width, heads, brands, penalty, steps, params)
    history: list[Epoch] = []
    best = _Best()
    for number in track(range(1, params.epochs + 1), "Training the head", params.epochs):
        order = rng.permutation(len(every_view))
        for start in range(0, len(order), params.batch_size):
            rows = order[start : start + params.batch_size]
            model.train_on_batch(every_view[rows], targets[rows], sample_weight=weights[rows])
        kernel, bias = _split(model.get_weights(), heads, brands)
        logits = np.tensordot(plain, kernel, axes=1) + bias
        epoch, held_out = _score(number, logits, labels, sees)
        history.append(epoch)
        if epoch.val_loss < best.val_loss:
            best = _Best(number, epoch.val_loss, kernel[:, -1], bias[-1], held_out)
        elif number >= best.epoch + params.patience:
            break
    return TrainedHead(
        kernel=(best.kernel / scale[:, None]).astype(np.float32),
        bias=(best.bias - (mean / scale) @ best.kernel).astype(np.float32),
        held_out_logits=best.held_out_logits,
        folds=folds,
        history=history,
        best_epoch=best.epoch,
    )


@dataclass(frozen=True)
class _Best:
    """What the best epoch so far left behind."""

    epoch: int = 0
    val_loss: float = np.inf
    kernel: np.ndarray = field(default_factory=lambda: np.empty(0))
    bias: np.ndarray = field(default_factory=lambda: np.empty(0))
    held_out_logits: np.ndarray = field(default_factory=lambda: np.empty(0))


def _score(
    number: int, logits: np.ndarray, labels: np.ndarray, sees: np.ndarray
) -> tuple[Epoch, np.ndarray]:
    """One row of the history from logits (n, heads, brands), and those held out (n, brands).

    `sees` (n, heads) bool: which head learned from which photo.
    """
    rows = np.arange(len(labels))
    probabilities = softmax(logits)
    folds = sees[:, :-1]
    unseen = np.argmin(folds, axis=1)  # the one head that does not see the photo
    losses = -np.log(np.maximum(probabilities[rows, :, labels], 1e-12))
    right = probabilities.argmax(axis=2) == labels[:, None]
    epoch = Epoch(
        epoch=number,
        loss=float(losses[:, :-1][folds].mean()),
        accuracy=float(right[:, :-1][folds].mean()),
        val_loss=float(losses[rows, unseen].mean()),
        val_accuracy=float(right[rows, unseen].mean()),
    )
    return epoch, logits[rows, unseen]


def standardize(vectors: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale, (d,) float32 each, that centre the vectors and bring their length near 1.

    The scale is one number per block of features (averages, maxima): a number per feature would
    blow up those that hardly say anything, which costs accuracy (LOG.md). Length 1 makes learning
    rate and penalty mean the same for every backbone.
    """
    mean = vectors.mean(axis=(0, 1))
    squares = ((vectors - mean) ** 2).mean(axis=(0, 1)).reshape(blocks, -1).sum(axis=1)
    lengths = np.sqrt(np.where(squares > 0, squares, 1.0) * blocks)
    return mean, np.repeat(lengths, vectors.shape[-1] // blocks).astype(np.float32)


def _build(
    keras: Any, width: int, heads: int, brands: int, penalty: float, steps: int, params: HeadParams
) -> Any:
    model = keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(
                heads * brands,
                kernel_initializer="zeros",
                kernel_regularizer=keras.regularizers.L2(penalty),
            ),
            keras.layers.Reshape((heads, brands)),
        ]
    )

    def loss(labels: Any, logits: Any) -> Any:
        # Keras averages over the heads; times their number, each learns as if it were alone.
        return heads * keras.losses.categorical_crossentropy(
            keras.ops.one_hot(keras.ops.cast(labels, "int32"), brands),
            logits,
            from_logits=True,
            label_smoothing=params.label_smoothing,
        )

    # Down to nothing over the epochs, so that the last ones settle instead of jumping about.
    rate = keras.optimizers.schedules.CosineDecay(params.learning_rate, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss)
    return model


def _split(weights: list[np.ndarray], heads: int, brands: int) -> tuple[np.ndarray, np.ndarray]:
    """The Dense layer's weights per head: kernel (d, heads, brands), bias (heads, brands)."""
    kernel, bias = weights
    return kernel.reshape(-1, heads, brands), bias.reshape(heads, brands)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
