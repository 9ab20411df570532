"""The run that made a model: photos, leaks, metrics, parameters, versions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carbrand.node.files.dvc_lock import DvcLock
from carbrand.node.files.metrics_file import read_metrics
from carbrand.node.origin import Origin, read_origin
from carbrand.photos.copies_file import Copy, read_copies
from carbrand.photos.manifest import Row, kept_training_photos, read_manifest
from carbrand.photos.severities import CopySeverities, excluded_paths, severities_of_run
from carbrand.scores.files.predictions_file import read_predictions
from carbrand.scores.files.run_reader import RunReader
from carbrand.scores.files.tuning_file import read_tuning

NODES = ("validate", "features", "train", "finetune", "evaluate")


@dataclass(frozen=True)
class RunRecord:
    """The record of a run; fields without a file are empty.

    missing: why the run is missing, for the model card.
    """

    rows: tuple[Row, ...] = ()
    train_copies: tuple[Copy, ...] = ()  # training photos, copies of training photos
    test_copies: tuple[Copy, ...] = ()  # test photos, copies of training photos or of one another
    rules: CopySeverities | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)  # by node
    missing: str = ""

    @property
    def training_photos(self) -> list[Row]:
        """The photos that the head was trained on."""
        out = excluded_paths(self.train_copies, self.rules) if self.rules else set()
        return [row for row in kept_training_photos(self.rows) if row.path not in out]


def read_record(model: Path) -> RunRecord:
    """The record of the run with the model in its folder `finetune`.

    Empty if, by dvc.lock, `evaluate` has read another model. Raises UserError if a file is damaged
    or differs from dvc.lock.
    """
    folder = model.parent.parent
    if model.parent.name != "finetune" or not (folder / "evaluate" / "metrics.json").is_file():
        return RunRecord(missing="The model was exported without the run that made it.")
    lock_file = folder.parent / "dvc.lock"
    lock = DvcLock.read(lock_file) if lock_file.is_file() else None
    run, artifacts = RunReader(folder.parent, lock), Path(folder.name)
    if lock and not _was_evaluated(lock, model, artifacts / "finetune" / model.name):
        return RunRecord(missing="The run in the model's folder evaluated another model.")
    metrics = run.read(artifacts / "evaluate/metrics.json", read_metrics)
    training = run.read_optional(artifacts / "train/summary.json", read_metrics)
    origins = {
        node: run.read_optional(artifacts / node / "origin.json", read_origin) for node in NODES
    }
    _check_evaluation(run, artifacts / "evaluate", metrics, origins["evaluate"])
    return RunRecord(
        rows=tuple(run.read_optional(artifacts / "validate/manifest.csv", read_manifest) or ()),
        train_copies=tuple(run.read_optional(artifacts / "features/copies.csv", read_copies) or ()),
        test_copies=tuple(run.read_optional(artifacts / "evaluate/copies.csv", read_copies) or ()),
        rules=_rules(run, artifacts / "validate/origin.json", origins["validate"]),
        metrics=metrics,
        training=training or {},
        tuning=run.read_optional(artifacts / "finetune/summary.json", read_tuning) or {},
        origins={node: origin for node, origin in origins.items() if origin},
    )


def _was_evaluated(lock: DvcLock, model: Path, path: Path) -> bool:
    """Whether `evaluate` has read this model, as far as dvc.lock records it."""
    seen = lock.dependency_hash("evaluate", path.as_posix())
    digest = hashlib.md5(model.read_bytes(), usedforsecurity=False).hexdigest()
    return seen in (None, digest)


def _rules(run: RunReader, file: Path, origin: Origin | None) -> CopySeverities | None:
    """The run's rules for copies, or None if unknown. Raises UserError."""
    with run.as_user_error(file):
        return severities_of_run(origin.parameters) if origin else None


def _check_evaluation(
    run: RunReader, folder: Path, metrics: Mapping[str, Any], origin: Origin | None
) -> None:
    """Raise UserError unless the metrics follow from the predictions, if these exist."""
    file = folder / "predictions.csv"
    predicted = run.read_optional(file, read_predictions)
    if predicted:
        bins = origin.parameters.get("ece_bins") if origin else None
        run.check_predictions(file, *predicted)
        run.check_metrics(folder / "metrics.json", metrics, *predicted, bins)
