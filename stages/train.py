"""Train a head on the cached vectors and put it on the backbone: the model that ships.

Reads the folder of features; opens no photo.
Writes `model.h5`, `history.csv` (a row per epoch) and `summary.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.errors import UserError
from carbrand.feature_store import Features, read_features
from carbrand.head import HeadParams, TrainedHead, assign_folds, balance, train_head
from carbrand.history import write_history
from carbrand.metrics_file import write_metrics
from carbrand.model_file import save_classifier
from carbrand.params import knob, read_section
from carbrand.pooling import POOLINGS
from carbrand.quiet_keras import import_keras
from carbrand.stage import start


@dataclass(frozen=True)
class TrainParams:
    """How the head learns; see params.yaml."""

    epochs: int = knob(low=1, high=10_000)
    patience: int = knob(low=1)
    batch_size: int = knob(low=1)
    learning_rate: float = knob(low=1e-7, high=1.0)
    l2: float = knob(low=0.0, high=10.0)
    label_smoothing: float = knob(low=0.0, high=0.5)
    class_weight: str = knob(choices=("balanced", "none"))
    folds: int = knob(low=2, high=20)
    seed: int = knob(low=0)


def train(features: Features, params: TrainParams) -> TrainedHead:
    """The head for these features, with the history of its cross-validation."""
    labels, brands = features.labels, len(features.brands)
    folds = assign_folds(labels, features.groups, params.folds, params.seed)
    balanced = params.class_weight == "balanced"
    weights = balance(labels, brands) if balanced else np.ones(len(labels), np.float32)
    settings = HeadParams(
        epochs=params.epochs,
        patience=params.patience,
        batch_size=params.batch_size,
        learning_rate=params.learning_rate,
        l2=params.l2,
        label_smoothing=params.label_smoothing,
        seed=params.seed,
    )
    blocks = POOLINGS[features.origin.pooling]
    head = train_head(features.vectors, labels, folds, weights, brands, blocks, settings)
    if not np.isfinite(head.kernel).all() or not head.best_epoch:
        raise UserError(
            f"train: the loss was no finite number with train.learning_rate {params.learning_rate}"
            f" and train.l2 {params.l2}. Lower them."
        )
    return head


def summarize(head: TrainedHead, features: Features) -> dict[str, object]:
    """What the head that ships is expected to do, from photos that its folds had not seen."""
    best = head.history[head.best_epoch - 1]
    return {
        "photos": len(features.paths),
        "brands": len(features.brands),
        "epochs": len(head.history),
        "best_epoch": head.best_epoch,
        "loss": best.loss,
        "accuracy": best.accuracy,
        "val_loss": best.val_loss,
        "val_accuracy": best.val_accuracy,
    }


def main(params: Path, features_folder: Path, out: Path) -> None:
    """Read the features, write the model and what its training looked like."""
    settings = read_section(params, "train", TrainParams)
    features = read_features(features_folder)
    head = train(features, settings)
    backbone = import_keras().models.load_model(features.backbone, compile=False)
    out.mkdir(parents=True, exist_ok=True)
    save_classifier(
        out / "model.h5", backbone, features.origin, head.kernel, head.bias, features.brands
    )
    write_history(out / "history.csv", head.history)
    write_metrics(out / "summary.json", summarize(head, features))


if __name__ == "__main__":
    start(main)
