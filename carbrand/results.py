"""What a run wrote, read back and put together: the material of every figure and of the report.

The files come from earlier nodes, so whatever is wrong with one is mended by running those again.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.errors import UserError
from carbrand.evaluation import PredictedPhoto
from carbrand.history import Epoch, read_history
from carbrand.manifest import Row, read_manifest
from carbrand.predictions_file import read_predictions

MEND = "Run `dvc repro`, which makes it anew."


@dataclass(frozen=True)
class JudgedPhoto:
    """What the model said of one test photo, with its place in the heat maps."""

    row: int
    path: str
    actual: str
    predicted: str
    confidence: float
    leaked: bool
    probabilities: Mapping[str, float]  # by brand, brands sorted

    @property
    def right(self) -> bool:
        """Whether the model named the brand of the photo's folder."""
        return self.actual == self.predicted

    def likeliest(self, brands: int) -> tuple[str, ...]:
        """At most `brands` names, likeliest first; the actual one is always among them."""
        order = sorted(self.probabilities, key=lambda brand: (-self.probabilities[brand], brand))
        shown = order[:brands]
        return tuple(shown if self.actual in shown else [*shown[:-1], self.actual])


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1 in 0…1 of one brand or their means, and of how many photos."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """metrics.json: leak-free test photos, except for `as_given`, which counts all of them."""

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    images: int
    log_loss: float
    ece: float
    macro: Scores
    brand: Mapping[str, Scores]
    as_given_accuracy: float
    as_given_images: int


@dataclass(frozen=True)
class Results:
    """One run: what was found, how training went, and what the model says of the test photos."""

    manifest: tuple[Row, ...]
    history: tuple[Epoch, ...]
    training: Mapping[str, Any]  # nested numbers: what training says of itself
    brands: tuple[str, ...]  # sorted names
    photos: tuple[JudgedPhoto, ...]  # one per test photo
    metrics: Metrics
    heat_maps: np.ndarray  # (n, h, w) in 0…1, in the order of `photos`

    @cached_property
    def leak_free(self) -> tuple[JudgedPhoto, ...]:
        """Those that count: of photos that the training never saw."""
        return tuple(photo for photo in self.photos if not photo.leaked)

    @cached_property
    def right(self) -> tuple[JudgedPhoto, ...]:
        """Leak-free and right, surest first."""
        return surest_first(photo for photo in self.leak_free if photo.right)

    @cached_property
    def wrong(self) -> tuple[JudgedPhoto, ...]:
        """Leak-free and wrong, surest first."""
        return surest_first(photo for photo in self.leak_free if not photo.right)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Leak-free photos by brand (rows) and what they were taken for (columns): (k, k) ints."""
        label = {brand: index for index, brand in enumerate(self.brands)}
        counts = np.zeros((len(label), len(label)), dtype=np.int64)
        for photo in self.leak_free:
            counts[label[photo.actual], label[photo.predicted]] += 1
        return counts

    @cached_property
    def best_epoch(self) -> Epoch:
        """The epoch that training chose."""
        return next(e for e in self.history if e.epoch == self.training["best_epoch"])


def surest_first(photos: Iterable[JudgedPhoto]) -> tuple[JudgedPhoto, ...]:
    """By falling confidence; ties by path."""
    return tuple(sorted(photos, key=lambda photo: (-photo.confidence, photo.path)))


def one_brand_after_another(photos: Iterable[JudgedPhoto]) -> tuple[JudgedPhoto, ...]:
    """The first photo of each brand, then the second of each, and so on."""
    by_brand: defaultdict[str, list[JudgedPhoto]] = defaultdict(list)
    for photo in photos:
        by_brand[photo.actual].append(photo)
    rounds = zip_longest(*(by_brand[brand] for brand in sorted(by_brand)))
    return tuple(photo for photo in chain.from_iterable(rounds) if photo is not None)


def read_results(
    *,
    manifest: Path,
    history: Path,
    training: Path,
    predictions: Path,
    metrics: Path,
    heat_maps: Path,
) -> Results:
    """Everything a run wrote. Raises UserError: for all files that are missing at once, for one
    that cannot be read, and for files that are not of one run.
    """
    files = (manifest, history, training, predictions, metrics, heat_maps)
    missing = [f"{path} does not exist. {MEND}" for path in files if not path.is_file()]
    if missing:
        raise UserError(*missing)
    with _made_anew(manifest):
        rows = tuple(read_manifest(manifest))
    with _made_anew(predictions):
        predicted, brands = read_predictions(predictions)
    with _made_anew(history):
        epochs = tuple(read_history(history))
    results = Results(
        manifest=rows,
        history=epochs,
        training=_read_numbers(training),
        brands=tuple(brands),
        photos=_judge(predicted, brands),
        metrics=_read_metrics(metrics),
        heat_maps=_read_heat_maps(heat_maps),
    )
    _check_of_one_run(results)
    return results


def _check_of_one_run(results: Results) -> None:
    """Raise UserError unless the files fit: a page that contradicts itself helps nobody."""
    problems = []
    best = results.training.get("best_epoch")
    if best not in {epoch.epoch for epoch in results.history}:
        problems.append(f"Training names {best!r} its best epoch, which is not in its history.")
    counted = (results.metrics.images, results.metrics.as_given_images)
    rows = (len(results.leak_free), len(results.photos))
    if counted != rows:
        problems.append(
            f"The metrics count {counted[0]:,} leak-free of {counted[1]:,} test photos, "
            f"the predictions hold {rows[0]:,} of {rows[1]:,}."
        )
    unknown = {photo.path for photo in results.photos} - {row.path for row in results.manifest}
    if unknown:
        problems.append(f"The manifest does not know {min(unknown)}, which has a prediction.")
    if len(results.heat_maps) != len(results.photos):
        problems.append(
            f"There are {len(results.heat_maps):,} heat maps for {rows[1]:,} test photos."
        )
    if problems:
        mend = "These files are not of one run. Run `dvc repro --force`."
        raise UserError(*(f"{problem} {mend}" for problem in problems))


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
            **{
                name: content[name]
                for name in ("accuracy", "accuracy_low", "accuracy_high", "log_loss", "ece")
            },
            images=content["images"],
            macro=Scores(**content["macro"], support=content["images"]),
            brand={brand: Scores(**scores) for brand, scores in content["brand"].items()},
            as_given_accuracy=content["as_given"]["accuracy"],
            as_given_images=content["as_given"]["images"],
        )


def _read_heat_maps(path: Path) -> np.ndarray:
    """From disk only as far as they are used: of 10,000 photos, few are shown."""
    with _made_anew(path):
        heat_maps = np.load(path, mmap_mode="r", allow_pickle=False)
        if heat_maps.ndim != 3 or 0 in heat_maps.shape[1:]:
            raise ValueError(f"expected a shape of (n, h, w), got {heat_maps.shape}")
    return heat_maps


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
    except KeyError as error:
        raise UserError(f"{path} is damaged (no {error.args[0]}). {MEND}") from None
    except (ValueError, TypeError, AttributeError, EOFError, csv.Error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged ({reason}). {MEND}") from None
