"""The results of one model: its predictions for the test photos, metrics and history."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock
from carbrand.node.files.metrics_file import read_metrics
from carbrand.node.wording import one_line
from carbrand.release.gate.gate_params import GateFiles
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.files.history import Epoch, read_history
from carbrand.scores.files.predictions_file import read_predictions
from carbrand.scores.files.run_reader import RunReader
from carbrand.scores.files.tuning_file import read_tuning, which_ships


@dataclass(frozen=True)
class ModelResults:
    """The results of one model. photos: by path. All but photos and brands may be unknown.

    ships: the frozen network or the tuned one, and why. history: of the one that ships. model_hash:
    of the model's file.
    """

    photos: Mapping[str, PredictedPhoto]
    brands: tuple[str, ...]
    metrics: Mapping[str, Any] | None
    history: tuple[Epoch, ...]
    test_hash: str | None
    ships: str = ""
    model_hash: str | None = None


@dataclass(frozen=True)
class BrandChange:
    """The brands of both models, of the new one only, and of the old one only; each sorted."""

    shared: tuple[str, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.new or self.gone)

    def __str__(self) -> str:
        """`new: dart; gone: cirro`."""
        kinds = {"new": self.new, "gone": self.gone}
        return "; ".join(
            f"{kind}: {', '.join(map(one_line, brands))}"
            for kind, brands in kinds.items()
            if brands
        )


def find_change(old: ModelResults, new: ModelResults) -> BrandChange:
    """The difference between the brands of two models."""
    before, after = set(old.brands), set(new.brands)
    return BrandChange(
        tuple(sorted(before & after)), tuple(sorted(after - before)), tuple(sorted(before - after))
    )


def keep_shared(results: ModelResults, change: BrandChange) -> ModelResults:
    """The results without photos of brands that one model does not know, and without metrics.

    Predictions stay the same: predicting a brand that is new or gone is a misclassification.
    """
    photos = {p: photo for p, photo in results.photos.items() if photo.actual in change.shared}
    return dataclasses.replace(results, photos=photos, metrics=None)


def read_current(project: Path, files: GateFiles) -> ModelResults:
    """The results in a project's working tree. Raises UserError if a file is invalid."""
    return read_results(project, files, "here", "Run `make repro`.")


def read_results(folder: Path, files: GateFiles, where: str, mend: str) -> ModelResults:
    """The results of the project in `folder`. Raises UserError if a file is invalid.

    For messages: where: which state of the project this is; mend: how to repair its files.
    """
    if not (folder / files.predictions).is_file():
        raise UserError(f"{files.predictions.as_posix()} does not exist {where}. {mend}")
    lock = DvcLock.read(folder / files.lock)
    run = RunReader(folder, lock, where, mend)
    photos, brands = run.read(files.predictions, read_predictions)
    run.check_predictions(files.predictions, photos, brands)
    metrics = run.read_optional(files.metrics, read_metrics)
    bins = lock.param(files.node, files.params.as_posix(), f"{files.node}.ece_bins")
    run.check_metrics(files.metrics, metrics or {}, photos, brands, bins)
    tuning = run.read_optional(files.tuning, read_tuning) or {}
    history = files.tuning_history if tuning.get("ships_tuned") else files.history
    return ModelResults(
        photos={photo.path: photo for photo in photos},
        brands=tuple(brands),
        metrics=metrics,
        history=tuple(run.read_optional(history, _read_finite_history) or ()),
        # None in other pipelines; then photos are matched by path only.
        test_hash=lock.dependency_hash(files.node, files.test_photos.as_posix()),
        ships=which_ships(tuning, _settings(lock, files)) if tuning else "",
        model_hash=lock.output_md5(files.model.as_posix()),
    )


def _settings(lock: DvcLock, files: GateFiles) -> dict[str, Any]:
    """What decides whether anything is tuned and ships, as params.yaml had it."""
    names, params = ("epochs", "min_photos", "ship"), files.params.as_posix()
    return {name: lock.param("finetune", params, f"finetune.{name}") for name in names}


def _read_finite_history(path: Path) -> list[Epoch]:
    history = read_history(path)
    if not all(math.isfinite(epoch.val_accuracy) for epoch in history):
        raise ValueError("val_accuracy is not finite")
    return history
