"""One side of a comparison: what a model said of the test photos, read strictly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.dvc_lock import DvcLock
from carbrand.node.errors import UserError
from carbrand.node.metrics_file import read_metrics
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.history import Epoch, read_history
from carbrand.scores.predictions_file import read_predictions
from carbrand.scores.run_reader import RunReader


@dataclass(frozen=True)
class GateFiles:
    """Where a project keeps what is compared, relative to its folder.

    lock: DVC's, which knows what `test_photos` held when the node `node` ran, and by which of the
    params it did. model, manifest: what may have to be fetched of another revision.
    """

    predictions: Path
    metrics: Path
    history: Path
    lock: Path
    node: str
    test_photos: Path
    params: Path
    model: Path
    manifest: Path

    def all(self) -> tuple[Path, ...]:
        """Those that are files of their own."""
        return (self.predictions, self.metrics, self.history, self.lock)


@dataclass(frozen=True)
class Side:
    """What there is to know of one model. `photos` by path; the last three where they are known."""

    photos: Mapping[str, PredictedPhoto]
    brands: tuple[str, ...]
    metrics: Mapping[str, Any] | None
    history: tuple[Epoch, ...]
    test_hash: str | None


def read_here(project: Path, files: GateFiles) -> Side:
    """What lies in a project's working tree. Raises UserError for a file that cannot be right."""
    return read_side(project, files, "here", "`make repro` makes it.")


def read_side(folder: Path, files: GateFiles, name: str, mend: str) -> Side:
    """The files of a project in `folder`. Raises UserError for one that cannot be right.

    name: what to call the side; mend: how to get its files right.
    """
    if not (folder / files.predictions).is_file():
        raise UserError(f"{files.predictions.as_posix()} does not exist {name}. {mend}")
    lock = DvcLock.read(folder / files.lock)
    run = RunReader(folder, lock, name, mend)
    photos, brands = run.read(files.predictions, read_predictions)
    run.check_predictions(files.predictions, photos, brands)
    metrics = run.read_optional(files.metrics, read_metrics)
    bins = lock.param(files.node, files.params.as_posix(), f"{files.node}.ece_bins")
    run.check_metrics(files.metrics, metrics or {}, photos, brands, bins)
    return Side(
        photos={photo.path: photo for photo in photos},
        brands=tuple(brands),
        metrics=metrics,
        history=tuple(run.read_optional(files.history, _read_finite_history) or ()),
        # None: a pipeline of another kind. Then paths have to do.
        test_hash=lock.dependency_hash(files.node, files.test_photos.as_posix()),
    )


def _read_finite_history(path: Path) -> list[Epoch]:
    history = read_history(path)
    if not all(math.isfinite(epoch.val_accuracy) for epoch in history):
        raise ValueError("val_accuracy is not finite")
    return history
