"""What the run that made a model left about it: photos, leaks, metrics, parameters, versions."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from carbrand.copies_file import Copy, read_copies
from carbrand.dvc_yaml import parse_yaml
from carbrand.errors import UserError
from carbrand.manifest import Row, photos_to_learn_from, read_manifest
from carbrand.rules import CopyRules, paths_left_out, read_rules

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
    folder, must say that `evaluate` saw these very bytes. Raises UserError for a damaged file.
    """
    run = model.parent.parent
    if model.parent.name != "train" or not (run / "evaluate" / "metrics.json").is_file():
        return RunRecord(missing="The model was exported without the run that made it.")
    evaluated = _evaluated(run.parent / "dvc.lock", model)
    if evaluated is not None and evaluated != _md5(model):
        return RunRecord(missing="The run that lay beside the model evaluated another one.")
    return RunRecord(
        rows=tuple(_read(run / "validate" / "manifest.csv", read_manifest) or ()),
        train_copies=tuple(_read(run / "features" / "copies.csv", read_copies) or ()),
        test_copies=tuple(_read(run / "evaluate" / "copies.csv", read_copies) or ()),
        rules=_read(run / "validate" / "rules.json", read_rules),
        metrics=_read(run / "evaluate" / "metrics.json", _read_json) or {},
        training=_read(run / "train" / "summary.json", _read_json) or {},
        origins={node: _read(run / node / "origin.json", _read_json) or {} for node in NODES},
    )


def _evaluated(lock: Path, model: Path) -> str | None:
    """The MD5 of the model that `evaluate` saw; None where dvc.lock does not say."""
    if not lock.is_file():
        return None
    try:
        stages = parse_yaml(lock.read_text(encoding="utf-8"))["stages"]
        deps = {dep["path"]: dep.get("md5") for dep in stages["evaluate"]["deps"]}
    except (ValueError, KeyError, TypeError):
        return None
    name = Path(model.parent.parent.name, model.parent.name, model.name).as_posix()
    return deps.get(name)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError("expected names and values")
    return content


def _read(path: Path, read: Callable[[Path], Content]) -> Content | None:
    if not path.is_file():
        return None
    try:
        return read(path)
    except (ValueError, TypeError, KeyError, AttributeError, csv.Error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} is damaged ({reason}). {_MEND}") from None
