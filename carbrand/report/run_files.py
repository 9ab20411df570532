"""The files of a run, read back. They come from earlier nodes: running those again mends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import read_metrics
from carbrand.node.origin import read_origin
from carbrand.photos.copies_file import Copy, read_copies
from carbrand.photos.folders.folder_findings import read_findings
from carbrand.photos.manifest import read_manifest
from carbrand.photos.severities import severities_of_run, without_ignored
from carbrand.report.results import (
    Accuracy,
    HeldOut,
    Metrics,
    ProbabilityScores,
    Results,
    Scores,
)
from carbrand.scores.files.history import Epoch, read_history
from carbrand.scores.files.map_file import read_map
from carbrand.scores.files.predictions_file import read_predictions
from carbrand.scores.files.run_reader import MEND, RunReader
from carbrand.scores.files.suspects_file import read_suspects
from carbrand.scores.files.tuning_file import read_tuning


@dataclass(frozen=True)
class RunFiles:
    """Where everything lies that a run wrote."""

    manifest: Path
    folders: Path
    history: Path
    training: Path
    tuning_history: Path
    tuning: Path
    predictions: Path
    metrics: Path
    heat_maps: Path
    train_copies: Path
    test_copies: Path
    suspects: Path
    test_suspects: Path
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
    run = RunReader()
    manifest = run.read(files.manifest, read_manifest)
    predicted, brands = run.read(files.predictions, read_predictions)
    history = run.read(files.history, _read_epochs)
    origins = {node: run.read(path, read_origin) for node, path in files.origins.items()}
    with run.as_user_error(files.origins["evaluate"]):
        bins = _positive(origins["evaluate"].parameters["ece_bins"])
    with run.as_user_error(files.origins["validate"]):
        rules = severities_of_run(origins["validate"].parameters)
    results = Results(
        manifest=tuple(manifest),
        folders=tuple(run.read(files.folders, read_findings)),
        history=tuple(history),
        training=run.read(files.training, read_metrics),
        tuning_history=tuple(run.read(files.tuning_history, read_history)),
        tuning=run.read(files.tuning, read_tuning),
        brands=tuple(brands),
        photos=tuple(predicted),
        metrics=run.read(files.metrics, _read_scores),
        heat_maps=run.read(files.heat_maps, _read_heat_maps),
        # `features` finds them before any rule is asked.
        train_copies=tuple(without_ignored(run.read(files.train_copies, read_copies), rules)),
        test_copies=tuple(run.read(files.test_copies, read_copies)),
        suspects=tuple(run.read(files.suspects, read_suspects)),
        test_suspects=tuple(run.read(files.test_suspects, read_suspects)),
        map=tuple(run.read(files.map, read_map)),
        origins=origins,
        rules=rules,
    )
    _check_of_one_run(results)
    run.check_predictions(files.predictions, predicted, brands)
    metrics = run.read(files.metrics, read_metrics)
    run.check_metrics(files.metrics, metrics, predicted, brands, bins)
    return results


def _positive(bins: Any) -> int:
    if not bins >= 1:
        raise ValueError("ece_bins must be at least 1")
    return int(bins)


def _read_epochs(path: Path) -> list[Epoch]:
    history = read_history(path)
    if not history:
        raise ValueError("it holds no epoch")
    return history


def _check_of_one_run(results: Results) -> None:
    """Raise UserError unless the files fit: a page that contradicts itself helps nobody."""
    problems = []
    epochs, last = results.training.get("epochs"), results.history[-1].epoch
    if epochs != last:
        problems.append(f"Training took {epochs!r} epochs, its history ends with {last}.")
    if bool(results.tuning["epochs"]) != bool(results.tuning_history):
        problems.append(
            f"Fine-tuning took {results.tuning['epochs']} epochs, its history has "
            f"{len(results.tuning_history)}."
        )
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
        ("is a suspect", {it.path for it in (*results.suspects, *results.test_suspects)}),
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


def _read_scores(path: Path) -> Metrics:
    content = read_metrics(path)
    return Metrics(
        leak_free=_accuracy(content),
        balanced=_accuracy(content, "balanced_accuracy"),
        as_given=_accuracy(content["as_given"]),
        without_suspected=_of_any(content["without_suspected"]),
        without_series=_of_any(content["without_series"]),
        held_out=_held_out(content) if "held_out" in content else None,
        leaked=content["leaked"],
        calibrated=_probability_scores(content),
        uncalibrated=_probability_scores(content["uncalibrated"]),
        macro=Scores(**content["macro"], support=content["images"]),
        brand={brand: Scores(**scores) for brand, scores in content["brand"].items()},
        top_5=content.get("top_5"),
        conformal=content.get("conformal", {}),
        unknown=content.get("unknown", {}),
    )


def _held_out(content: Mapping[str, Any]) -> HeldOut:
    held_out, gap = content["held_out"], content["gap"]
    return HeldOut(
        accuracy=_accuracy(held_out),
        brand={name: (it["recall"], it["support"]) for name, it in held_out["brand"].items()},
        **{name: held_out[name] for name in ("foldings", "lowest", "highest")},
        **{name: gap[name] for name in ("difference", "low", "high")},
    )


def _of_any(numbers: Mapping[str, Any]) -> Accuracy | None:
    return _accuracy(numbers) if numbers["images"] else None


def _accuracy(numbers: Mapping[str, Any], kind: str = "accuracy") -> Accuracy:
    share, low, high = (numbers[f"{kind}{bound}"] for bound in ("", "_low", "_high"))
    return Accuracy(share, low, high, numbers["images"])


def _probability_scores(numbers: Mapping[str, Any]) -> ProbabilityScores:
    return ProbabilityScores(**{name: numbers[name] for name in ("ece", "log_loss", "brier")})


def _read_heat_maps(path: Path) -> np.ndarray:
    """From disk only as far as they are used: of 10,000 photos, few are shown."""
    heat_maps = np.load(path, mmap_mode="r", allow_pickle=False)
    if heat_maps.ndim != 3 or 0 in heat_maps.shape[1:]:
        raise ValueError(f"expected a shape of (n, h, w), got {heat_maps.shape}")
    return heat_maps
