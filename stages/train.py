"""Train a head on the cached vectors and put it on the backbone.

Reads the features of training photos, which are copies, and whose brand a person has confirmed;
opens no photo. A long training writes checkpoints into a folder that is safe to delete, and resumes
from them when it was killed.
Writes `model.h5`, `history.csv` (a row per epoch), `summary.json`, `suspects.csv` (training photos
whose brand looks wrong), `origin.json`, and for `finetune` the folds and what was predicted of
photos held out (`folds.csv`, `held_out.npy`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from carbrand.model.model_file import save_classifier
from carbrand.network.keras_import import import_keras_to_build
from carbrand.network.views import TEST_VIEWS
from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import write_metrics
from carbrand.node.origin import write_origin
from carbrand.node.params import knob, read_keys, read_section
from carbrand.node.progress import training_progress
from carbrand.node.start import start
from carbrand.photos.copies_file import read_copies
from carbrand.photos.corrections import confirmed_photos, read_corrections
from carbrand.photos.severities import TrainingSeverities
from carbrand.scores.evaluation import score_balanced
from carbrand.scores.files.history import describe_epoch, write_history
from carbrand.scores.files.suspects_file import write_suspects
from carbrand.scores.held_out_score import HeldOutScore, count_held_out
from carbrand.training.calibration import cross_fit, fit_temperature
from carbrand.training.checkpoint import Checkpoints
from carbrand.training.head import (
    HeadParams,
    NotFinite,
    TrainedHead,
    assign_folds,
    balance,
    train_head,
)
from carbrand.training.held_out import fit_rules, predict_held_out, score_held_out
from carbrand.training.held_out_file import HeldOut, write_held_out
from carbrand.training.suspects import find_suspects
from carbrand.vectors.feature_store import Features, read_features
from carbrand.vectors.training_copies import exclude_copies

# Held-out predictions after which another folding tells little.
ENOUGH_PHOTOS = 1000
PACKAGES = ("carbrand", "cleanlab", "keras", "numpy", "scipy", "tensorflow")


@dataclass(frozen=True)
class TrainParams:
    """How the head learns; see params.yaml."""

    epochs: int = knob(low=1, high=10_000)
    l2: float = knob(low=0.0, high=10.0)
    label_smoothing: float = knob(low=0.0, high=0.5)
    class_weight: str = knob(choices=("balanced", "none"))
    folds: int = knob(low=2, high=20)
    foldings: int = knob(low=1, high=20)
    seed: int = knob(low=0)
    calibrate: bool = knob()
    test_views: str = knob(choices=tuple(TEST_VIEWS))
    unknown: float = knob(low=0.0, high=0.5)
    coverage: float = knob(low=0.5, high=0.999)


def train(
    features: Features, params: TrainParams, checkpoints: Checkpoints | None = None
) -> TrainedHead:
    """The head for these features, with the history of its cross-validation."""
    labels, brands = features.labels, len(features.brands)
    folds = assign_folds(labels, features.series, params.folds, params.seed)
    balanced = params.class_weight == "balanced"
    weights = balance(labels, brands) if balanced else np.ones(len(labels), np.float32)
    settings = HeadParams(params.epochs, params.l2, params.label_smoothing)
    try:
        with training_progress("Training the head", params.epochs) as show:
            return train_head(
                features.vectors,
                labels,
                folds,
                weights,
                brands,
                features.recipe.widths,
                settings,
                checkpoints=checkpoints,
                on_epoch=lambda epoch: show(epoch.epoch, describe_epoch(epoch)),
            )
    except NotFinite:
        raise UserError(
            "train: the network gave numbers that are not finite for some photos. Look at "
            "features.weights, which may be damaged."
        ) from None


def accuracies_of_other_foldings(features: Features, params: TrainParams) -> list[float]:
    """Held-out accuracies with photos in other folds: the spread that comes from training.

    There are `foldings` in all, fewer from ENOUGH_PHOTOS photos on: that many are asked in all.
    """
    wanted = min(params.foldings, math.ceil(ENOUGH_PHOTOS / len(features.labels)))
    heads = (
        train(features, replace(params, seed=params.seed + number)) for number in range(1, wanted)
    )
    return [head.history[-1].val_accuracy for head in heads]


def calibrate(
    head: TrainedHead, features: Features, params: TrainParams
) -> tuple[float, np.ndarray]:
    """The temperature of the model, and the calibrated logits (n, brands) of held-out photos.

    Those are divided by a temperature fitted on the other folds, so their scores are honest.
    """
    if not params.calibrate:
        return 1.0, head.held_out_logits
    temperature = fit_temperature(head.held_out_logits, features.labels)
    return temperature, cross_fit(head.held_out_logits, features.labels, head.folds)


def summarize(
    head: TrainedHead, features: Features, temperature: float, calibrated: np.ndarray
) -> dict[str, object]:
    """What the head that ships is expected to do, from photos that its folds had not seen."""
    last = head.history[-1]
    uncalibrated = predict_held_out(head.held_out_logits, features)
    return {
        "photos": len(features.paths),
        "brands": len(features.brands),
        "epochs": last.epoch,
        "loss": last.loss,
        "accuracy": last.accuracy,
        "val_loss": last.val_loss,
        "val_accuracy": last.val_accuracy,
        # Without an interval, as `val_accuracy`: the folds' heads share most of their photos.
        "val_balanced_accuracy": score_balanced(uncalibrated)["balanced_accuracy"],
        "temperature": temperature,
        **score_held_out(predict_held_out(calibrated, features), features.brands),
        "uncalibrated": score_held_out(uncalibrated, features.brands),
    }


def summarize_foldings(held_out: HeldOutScore) -> dict[str, object]:
    """From how many series the photos are, and the range of accuracies of several foldings."""
    return {
        "series": held_out.series,
        "foldings": len(held_out.accuracies),
        "val_accuracy_lowest": min(held_out.accuracies),
        "val_accuracy_highest": max(held_out.accuracies),
    }


def main(
    params_file: Path, features_folder: Path, corrections: Path, checkpoint_folder: Path, out: Path
) -> None:
    """Read the features, write the model and what its training looked like.

    The folder of checkpoints may be empty, and is so at the end.
    """
    params = read_section(params_file, "train", TrainParams)
    rules = read_keys(params_file, "validate", TrainingSeverities)
    copies = read_copies(features_folder / "copies.csv")
    features = exclude_copies(read_features(features_folder), copies, rules)
    checkpoints = Checkpoints(checkpoint_folder)
    head = train(features, params, checkpoints)
    temperature, calibrated = calibrate(head, features, params)
    others = accuracies_of_other_foldings(features, params)
    held_out = count_held_out(
        head.held_out_logits, features.labels, features.brands, features.series, others
    )
    unknown, sets = fit_rules(features, head.folds, calibrated, params.unknown, params.coverage)
    network = import_keras_to_build().models.load_model(features.network, compile=False)
    out.mkdir(parents=True, exist_ok=True)
    save_classifier(
        out / "model.h5",
        network,
        features.recipe,
        head.kernel,
        head.bias,
        features.brands,
        temperature=temperature,
        test_views=params.test_views,  # type: ignore[arg-type]
        held_out=held_out,
        unknown=unknown,
        sets=sets,
    )
    write_history(out / "history.csv", head.history)
    summary = summarize(head, features, temperature, calibrated)
    write_metrics(out / "summary.json", summary | summarize_foldings(held_out))
    confirmed = confirmed_photos(read_corrections(corrections))
    suspects = [it for it in find_suspects(features) if it.path not in confirmed]
    write_suspects(out / "suspects.csv", suspects)
    names = (features.paths, features.photo_brands, features.series)
    write_held_out(out, HeldOut(*names, head.folds, calibrated))
    write_origin(out / "origin.json", params, PACKAGES)
    checkpoints.clear()


if __name__ == "__main__":
    start(main, TrainingSeverities)
