"""Train the backbone too, in Keras, and decide by held-out photos which model ships.

Reads the model, folds and held-out predictions of `train`, and the training photos. Keeps the state
of each epoch in a folder that is safe to delete, and goes on from it when it was killed.
Writes `model.h5` (the model that ships), `history.csv` (a row per epoch), `summary.json` and
`origin.json`. With `finetune.epochs: 0`, or with few photos, the model of `train` is handed on as
it is, without Keras.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.model.model_file import read_metadata, save_classifier
from carbrand.network.keras_import import import_keras
from carbrand.node.code import hash_rooms
from carbrand.node.errors import UserError
from carbrand.node.files.atomic import reserve_disk_space
from carbrand.node.files.metrics_file import write_metrics
from carbrand.node.origin import write_origin
from carbrand.node.params import read_section
from carbrand.node.progress import training_progress
from carbrand.node.start import start
from carbrand.photos.photo import read_file, read_photo
from carbrand.scores.conformal import SetRule, calibrate_sets
from carbrand.scores.files.history import write_history
from carbrand.scores.unknown import UnknownRule, calibrate_unknown
from carbrand.training.checkpoint_key import describe_environment
from carbrand.training.finetuning.augmentation import source_size
from carbrand.training.finetuning.devices import memory_explained, set_threads
from carbrand.training.finetuning.fit import Photos
from carbrand.training.finetuning.photo_batches import CACHE_BYTES, PhotoCache
from carbrand.training.finetuning.run_file import RunFile, clear_run_files
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.finetuning.tune import Asked, TunedModel, Watch, tune
from carbrand.training.head import balance
from carbrand.training.held_out_file import HeldOut, read_held_out
from carbrand.training.problem import softmax
from carbrand.vectors.feature_store import Recipe

PACKAGES = ("carbrand", "keras", "numpy", "pillow", "scipy", "tensorflow")
TENSORBOARD = Path(".tensorboard")
# Rooms whose code determines a run, besides those of `describe_environment`. At import time: files
# may change while a run computes.
_CODE = hash_rooms(("photos", "network", "model"), Path(__file__))


def main(params_file: Path, train: Path, scratch: Path, out: Path) -> None:
    """Tune, compare, and write the model that ships."""
    params = read_section(params_file, "finetune", FinetuneParams)
    frozen = read_held_out(train)
    out.mkdir(parents=True, exist_ok=True)
    if params.epochs == 0 or len(frozen.paths) < params.min_photos:
        hand_on(train, out)
        write_history(out / "history.csv", [])
        summary: dict[str, object] = {"photos": len(frozen.paths), "epochs": 0, "ships_tuned": 0}
    else:
        check_tensorboard(params)
        enough = params.with_enough_steps(len(frozen.paths))
        tuned = tune_and_write(enough, frozen, train, scratch, out)
        summary = summarize(tuned, frozen, enough)
    write_metrics(out / "summary.json", summary)
    write_origin(out / "origin.json", params, PACKAGES)
    clear_run_files(scratch)


def tune_and_write(
    params: FinetuneParams, frozen: HeldOut, train: Path, scratch: Path, out: Path
) -> TunedModel:
    """Tune, and write the model that ships and the epochs."""
    start_model = read_start(train, params.threads)
    # So that hours of training do not end on a disk that is full.
    reserve_disk_space(out / "model.h5", start_model.weights)
    key = hash_run(params, frozen, train)
    clear_run_files(scratch, but_of=key)
    tuned = fine_tune(params, frozen, start_model, partial(RunFile, scratch, key))
    write_model(tuned, start_model, params, train, out)
    write_history(out / "history.csv", tuned.history)
    return tuned


def check_tensorboard(params: FinetuneParams) -> None:
    """Raise UserError where logs for TensorBoard are wanted and it is not installed."""
    if params.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "finetune.tensorboard: the package tensorboard is not installed. Install it, "
            "`pip install tensorboard`, or set finetune.tensorboard: false."
        )


def hand_on(train: Path, out: Path) -> None:
    """The model of `train` ships, the same bytes."""
    shutil.copyfile(train / "model.h5", out / "model.h5")


@dataclass(frozen=True)
class StartModel:
    """The model of `train`. network: photos to vectors. weights: their number, with the head's."""

    keras: ModuleType
    network: Any
    weights: int
    metadata: Mapping[str, Any]


def read_start(train: Path, threads: int) -> StartModel:
    """Read the model of `train` with Keras."""
    metadata = read_metadata(train / "model.h5")
    keras = import_keras()
    set_threads(threads)
    model = keras.models.load_model(train / "model.h5", compile=False)
    network = keras.Model(model.inputs, model.get_layer("head").input, name="network")
    return StartModel(keras, network, model.count_params(), metadata)


def fine_tune(
    params: FinetuneParams, frozen: HeldOut, model: StartModel, run_file: Callable[[str], RunFile]
) -> TunedModel:
    """Tune on the photos of `frozen`, and show how it goes."""
    brands = model.metadata["brands"]
    labels = np.array([brands.index(brand) for brand in frozen.brands])
    balanced = params.class_weight == "balanced"

    def decoded(size_px: int, max_bytes: int = CACHE_BYTES) -> PhotoCache:
        resize = model.metadata["resize"]
        return PhotoCache(
            lambda number: read_photo(frozen.paths[number], size_px, resize), max_bytes
        )

    photos = Photos(
        augmented=decoded(source_size(params)),
        unchanged=decoded(params.size_px),
        enlarged=decoded(params.predict_px, max_bytes=0),  # each is seen once a run
        labels=labels,
        weights=balance(labels, len(brands)) if balanced else np.ones(len(labels), np.float32),
    )

    def callbacks(run: str) -> list[Any]:
        if not params.tensorboard:
            return []
        return [model.keras.callbacks.TensorBoard(log_dir=str(TENSORBOARD / run))]

    def progress(run: str) -> AbstractContextManager[Callable[[int, str], None]]:
        return training_progress(f"Fine-tuning {run}", params.epochs)

    watch = Watch(run_file, callbacks, progress)
    with memory_explained(params):
        return tune(model.keras, model.network, len(brands), frozen, photos, params, watch)


def write_model(
    tuned: TunedModel,
    model: StartModel,
    params: FinetuneParams,
    train: Path,
    out: Path,
) -> None:
    """Write the model that ships: the tuned one, or that of `train`."""
    if tuned.kernel is None or tuned.bias is None or tuned.asked is None:
        hand_on(train, out)
        return
    unknown, sets = fit_rules(tuned.asked, model.metadata)
    save_classifier(
        out / "model.h5",
        tuned.network,
        Recipe(model.metadata["resize"], params.predict_px, ()),
        tuned.kernel,
        tuned.bias,
        model.metadata["brands"],
        temperature=tuned.temperature,
        test_views=model.metadata["test_views"],
        held_out=tuned.held_out,
        unknown=unknown,
        sets=sets,
    )


def fit_rules(
    asked: Asked, metadata: Mapping[str, Any]
) -> tuple[UnknownRule | None, SetRule | None]:
    """The rules of the model of `train`, if it has them, measured anew on held-out photos."""
    probabilities, sets = softmax(asked.logits), None
    if "sets" in metadata:
        sets = calibrate_sets(probabilities, asked.labels, metadata["sets"]["level"])
    share = metadata.get("unknown", {}).get("share", 0.0)
    return calibrate_unknown(asked.space, asked.distances, probabilities, share), sets


def summarize(tuned: TunedModel, frozen: HeldOut, params: FinetuneParams) -> dict[str, object]:
    """What ships and why, from photos that neither model had seen."""
    verdict, last = tuned.verdict, tuned.history[-1]
    return {
        "photos": len(frozen.paths),
        "epochs": params.epochs,
        "size_px": params.predict_px,
        "asked": verdict.asked,
        "ships_tuned": int(verdict.ships_tuned),
        "loss": last.loss,
        "accuracy": last.accuracy,
        "val_loss": last.val_loss,
        "val_accuracy": last.val_accuracy,
        "temperature": tuned.temperature,
        "frozen": {
            "accuracy": verdict.frozen.correct / verdict.asked,
            "log_loss": verdict.frozen.log_loss,
        },
        "tuned": {
            "accuracy": verdict.tuned.correct / verdict.asked,
            "log_loss": verdict.tuned.log_loss,
        },
    }


def hash_run(params: FinetuneParams, frozen: HeldOut, train: Path) -> str:
    """A hash of all that determines the numbers of a run."""
    facts = {"params": asdict(params), "code": _CODE, **describe_environment()}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in (train / "model.h5", train / "folds.csv"):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for photo in frozen.paths:
        digest.update(hashlib.sha256(read_file(photo)).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    start(main)
