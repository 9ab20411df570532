"""What the run that made a model left about it: photos, leaks, metrics, parameters, versions."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from carbrand.node.errors import UserError
from carbrand.photos.copies_file import Copy, read_copies
from carbrand.photos.manifest import Row, photos_to_learn_from, read_manifest
from carbrand.photos.rules import CopyRules, paths_left_out, read_rules
from carbrand.pipeline.run_lock import RunLock
from carbrand.scores.invariants import BrokenPromise, check_metrics, check_predictions
from carbrand.scores.predictions_file import read_predictions

NODES = ("validate", "features", "train", "evaluate")
_MEND = "Run `dvc repro`, which makes it anew."
Content = TypeVar("Content")


@dataclass(frozen=True)
class RunRecord:
    """What is there of it; empty where it is not.

    missing says in words why something is not: for the card.
    """

    rows: tuple[Row, ...] = ()
    train_copies: tuple[Copy, ...] = ()  # training photos, copies of training photos
    test_copies: tuple[Copy, ...] = ()  # test photos, copies of training photos or of one another
    rules: CopyRules | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by node
    missing: str = ""

    @property
    def learned_from(self) -> list[Row]:
        """The training photos that the head was learned from."""
        out = paths_left_out(self.train_copies, self.rules) if self.rules else set()
        return [row for row in photos_to_learn_from(self.rows) if row.path not in out]


def read_record(model: Path) -> RunRecord:
    """The record of the run in whose folder `train` the model lies.

    Nothing is taken from a run that made another model: dvc.lock, where it lies beside the run's
    folder, must say that `evaluate` saw these very bytes. Raises UserError for a damaged file, and
    for one that is not as that dvc.lock says.
    """
    run = model.parent.parent
    if model.parent.name != "train" or not (run / "evaluate" / "metrics.json").is_file():
        return RunRecord(missing="The model was exported without the run that made it.")
    lock_file = run.parent / "dvc.lock"
    files = _Files(run, RunLock.read(lock_file) if lock_file.is_file() else None)
    if not files.evaluated(model):
        return RunRecord(missing="The run that lay beside the model evaluated another one.")
    files.check_predictions()
    return RunRecord(
        rows=tuple(files.read("validate/manifest.csv", read_manifest) or ()),
        train_copies=tuple(files.read("features/copies.csv", read_copies) or ()),
        test_copies=tuple(files.read("evaluate/copies.csv", read_copies) or ()),
        rules=files.read("validate/rules.json", read_rules),
        metrics=files.read("evaluate/metrics.json", _read_json) or {},
        training=files.read("train/summary.json", _read_json) or {},
        origins={node: files.read(f"{node}/origin.json", _read_json) or {} for node in NODES},
    )


@dataclass(frozen=True)
class _Files:
    """The files in the folder of a run, with the lock beside it, if there is one."""

    folder: Path
    lock: RunLock | None

    def evaluated(self, model: Path) -> bool:
        """Whether `evaluate` saw these bytes of the model, as far as a lock says."""
        node = (self.lock.nodes if self.lock else {}).get("evaluate", {})
        name = Path(self.folder.name, model.relative_to(self.folder)).as_posix()
        seen = [dep.get("md5") for dep in node.get("deps", ()) if dep["path"] == name]
        return not seen or seen == [_md5(model)]

    def read(self, name: str, read: Callable[[Path], Content]) -> Content | None:
        """What is in a file, or None where there is none. Raises UserError."""
        path = self.folder / name
        if not path.is_file():
            return None
        with _damage_told(path):
            content = read(path)
            if self.lock:
                self.lock.check(Path(self.folder.name, name).as_posix(), path)
            return content

    def check_predictions(self) -> None:
        """Raise UserError unless the metrics follow from the predictions, where these are here."""
        predicted = self.read("evaluate/predictions.csv", read_predictions)
        if predicted is None:
            return
        photos, brands = predicted
        with _damage_told(self.folder / "evaluate/predictions.csv"):
            check_predictions(photos, brands)
        metrics = self.read("evaluate/metrics.json", _read_json) or {}
        origin = self.read("evaluate/origin.json", _read_json) or {}
        with _damage_told(self.folder / "evaluate/metrics.json"):
            bins = origin.get("parameters", {}).get("ece_bins")
            check_metrics(photos, brands, metrics, bins)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError("expected names and values")
    return content


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """What reading a file raises that is not as the run wrote it, as a UserError."""
    try:
        yield
    except BrokenPromise as broken:
        reason = broken.contradiction
    except (ValueError, TypeError, KeyError, AttributeError, csv.Error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    else:
        return
    raise UserError(f"{path} is damaged ({reason}). {_MEND}") from None
