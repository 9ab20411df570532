"""The files of a run, read back. They come from earlier nodes: running those again mends them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from carbrand.node.errors import UserError
from carbrand.photos.copies_file import Copy, read_copies
from carbrand.photos.folder_findings import read_findings
from carbrand.photos.manifest import read_manifest
from carbrand.photos.rules import CopyRules, worth_telling
from carbrand.report.results import (
    Accuracy,
    Honesty,
    JudgedPhoto,
    Metrics,
    Origin,
    Results,
    Scores,
)
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.history import read_history
from carbrand.scores.invariants import BrokenPromise, check_metrics, check_predictions
from carbrand.scores.map_file import read_map
from carbrand.scores.predictions_file import read_predictions
from carbrand.scores.suspects_file import read_suspects

MEND = "Run `dvc repro`, which makes it anew."
Record = TypeVar("Record")


@dataclass(frozen=True)
class RunFiles:
    """Where everything lies that a run wrote."""

    manifest: Path
    folders: Path
    history: Path
    training: Path
    predictions: Path
    metrics: Path
    heat_maps: Path
    train_copies: Path
    test_copies: Path
    suspects: Path
    map: Path
    origins: Mapping[str, Path]  # by node

    def all(self) -> list[Path]:
        """Each of them, in the order above."""
        own = [value for value in vars(self).values() if isinstance(value, Path)]
        return [*own, *self.origins.values()]


def read_results(files: RunFiles) -> Results:
    """Everything a run wrote. Raises UserError: for all files that are missing at once, for one
    that cannot be read, and for files that are not of one run.
    """
    missing = [f"{path} does not exist. {MEND}" for path in files.all() if not path.is_file()]
    if missing:
        raise UserError(*missing)
    with _made_anew(files.manifest):
        manifest = tuple(read_manifest(files.manifest))
    with _made_anew(files.predictions):
        predicted, brands = read_predictions(files.predictions)
    with _made_anew(files.history):
        history = tuple(read_history(files.history))
        if not history:
            raise ValueError("it holds no epoch")
    origins = {node: _read_origin(path, node) for node, path in files.origins.items()}
    with _made_anew(files.origins["validate"]):
        severities = origins["validate"].parameters
        rules = CopyRules(**{field.name: severities[field.name] for field in fields(CopyRules)})
    results = Results(
        manifest=manifest,
        folders=_read(files.folders, read_findings),
        history=history,
        training=_read_numbers(files.training),
        brands=tuple(brands),
        photos=_judge(predicted, brands),
        metrics=_read_metrics(files.metrics),
        heat_maps=_read_heat_maps(files.heat_maps),
        # `features` finds them before any rule is asked.
        train_copies=tuple(worth_telling(_read(files.train_copies, read_copies), rules)),
        test_copies=_read(files.test_copies, read_copies),
        suspects=_read(files.suspects, read_suspects),
        map=_read(files.map, read_map),
        origins=origins,
        rules=rules,
    )
    _check_of_one_run(results)
    with _made_anew(files.predictions):
        check_predictions(predicted, brands)
    with _made_anew(files.metrics):
        bins = origins["evaluate"].parameters["ece_bins"]
        check_metrics(predicted, brands, _read_numbers(files.metrics), bins)
    return results


def _check_of_one_run(results: Results) -> None:
    """Raise UserError unless the files fit: a page that contradicts itself helps nobody."""
    problems = []
    epochs, last = results.training.get("epochs"), results.history[-1].epoch
    if epochs != last:
        problems.append(f"Training took {epochs!r} epochs, its history ends with {last}.")
    counted = (results.metrics.leak_free.images, results.metrics.as_given.images)
    rows = (len(results.leak_free), len(results.photos))
    if counted != rows:
        problems.append(
            f"The metrics count {counted[0]:,} leak-free of {counted[1]:,} test photos, "
            f"the predictions hold {rows[0]:,} of {rows[1]:,}."
        )
    known = {row.path for row in results.manifest}
    for what, paths in (
        ("has a prediction", {photo.path for photo in results.photos}),
        ("is a suspect", {suspect.path for suspect in results.suspects}),
        ("is on the map", {place.path for place in results.map}),
        ("is part of a copy", _paths_of(*results.train_copies, *results.test_copies)),
    ):
        if paths - known:
            problems.append(f"The manifest does not know {min(paths - known)}, which {what}.")
    if len(results.heat_maps) != len(results.photos):
        problems.append(
            f"There are {len(results.heat_maps):,} heat maps for {rows[1]:,} test photos."
        )
    if problems:
        mend = "These files are not of one run. Run `dvc repro --force`."
        raise UserError(*(f"{problem} {mend}" for problem in problems))


def _paths_of(*copies: Copy) -> set[str]:
    return {path for copy in copies for path in (copy.path, copy.copy_of)}


def _judge(photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> tuple[JudgedPhoto, ...]:
    return tuple(
        JudgedPhoto(
            row=row,
            path=photo.path,
            actual=photo.actual,
            predicted=photo.predicted,
            confidence=photo.confidence,
            leaked=photo.leaked,
            probabilities=dict(zip(brands, photo.probabilities, strict=True)),
        )
        for row, photo in enumerate(photos)
    )


def _read_metrics(path: Path) -> Metrics:
    content = _read_numbers(path)
    with _made_anew(path):
        return Metrics(
            leak_free=_accuracy(content),
            balanced=_accuracy(content, "balanced_accuracy"),
            as_given=_accuracy(content["as_given"]),
            without_suspected=_of_any(content["without_suspected"]),
            leaked=content["leaked"],
            calibrated=_honesty(content),
            uncalibrated=_honesty(content["uncalibrated"]),
            macro=Scores(**content["macro"], support=content["images"]),
            brand={brand: Scores(**scores) for brand, scores in content["brand"].items()},
            top_5=content.get("top_5"),
        )


def _of_any(numbers: Mapping[str, Any]) -> Accuracy | None:
    return _accuracy(numbers) if numbers["images"] else None


def _accuracy(numbers: Mapping[str, Any], kind: str = "accuracy") -> Accuracy:
    share, low, high = (numbers[f"{kind}{bound}"] for bound in ("", "_low", "_high"))
    return Accuracy(share, low, high, numbers["images"])


def _honesty(numbers: Mapping[str, Any]) -> Honesty:
    return Honesty(**{name: numbers[name] for name in ("ece", "log_loss", "brier")})


def _read_heat_maps(path: Path) -> np.ndarray:
    """From disk only as far as they are used: of 10,000 photos, few are shown."""
    with _made_anew(path):
        heat_maps = np.load(path, mmap_mode="r", allow_pickle=False)
        if heat_maps.ndim != 3 or 0 in heat_maps.shape[1:]:
            raise ValueError(f"expected a shape of (n, h, w), got {heat_maps.shape}")
    return heat_maps


def _read(path: Path, read: Callable[[Path], list[Record]]) -> tuple[Record, ...]:
    with _made_anew(path):
        return tuple(read(path))


def _read_origin(path: Path, node: str) -> Origin:
    with _made_anew(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        origin = Origin(dict(content["parameters"]), dict(content["versions"]))
        if node == "evaluate" and not origin.parameters["ece_bins"] >= 1:
            raise ValueError("ece_bins must be at least 1")
    return origin


def _read_numbers(path: Path) -> dict[str, Any]:
    """Nested numbers of a JSON file."""
    with _made_anew(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("expected names and numbers")
        _check_numbers(content)
    return content


def _check_numbers(content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, Mapping):
            _check_numbers(value)
        elif not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"expected a number for {name}, got {value!r}")


@contextmanager
def _made_anew(path: Path) -> Iterator[None]:
    """What reading a file of ours raises when somebody changed it, as a UserError."""
    try:
        yield
    except BrokenPromise as broken:
        raise UserError(f"{path} is damaged ({broken.contradiction}). {MEND}") from None
    except KeyError as error:
        raise UserError(f"{path} is damaged (no {error.args[0]}). {MEND}") from None
    except (ValueError, TypeError, AttributeError, EOFError, csv.Error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged ({reason}). {MEND}") from None
