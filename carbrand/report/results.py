"""What a run found, put together: the material of every figure and of the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from carbrand.node.origin import Origin
from carbrand.photos.copies_file import Copy
from carbrand.photos.folders.folder_findings import RatedFinding
from carbrand.photos.manifest import KEPT, Row
from carbrand.photos.severities import CopySeverities, excluded_paths
from carbrand.scores.evaluation import PredictedPhoto, ReliabilityBin, bin_by_confidence
from carbrand.scores.files.history import Epoch
from carbrand.scores.files.map_file import MappedPhoto
from carbrand.scores.files.suspects_file import Suspect


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1 in 0…1 of one brand or their means, and of how many photos."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Accuracy:
    """A share in 0…1 of photos named right, its 95 % interval, and of how many photos."""

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    images: int


@dataclass(frozen=True)
class ProbabilityScores:
    """How far probabilities are from what happens; each is best at 0."""

    ece: float
    log_loss: float
    brier: float


@dataclass(frozen=True)
class HeldOut:
    """What held-out photos promised, and test minus held-out accuracy with its 95 % interval."""

    accuracy: Accuracy
    foldings: int
    lowest: float  # accuracy of a folding
    highest: float
    brand: Mapping[str, tuple[float, int]]  # recall and support
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Metrics:
    """metrics.json: leak-free test photos, except for `as_given`, which counts all of them."""

    leak_free: Accuracy
    balanced: Accuracy  # each brand counting the same
    as_given: Accuracy
    without_suspected: Accuracy | None  # of leak-free photos; None where all are suspected
    without_series: Accuracy | None  # the same of those from a series of training photos
    held_out: HeldOut | None  # None where the model does not say
    leaked: int
    calibrated: ProbabilityScores
    uncalibrated: ProbabilityScores
    macro: Scores
    brand: Mapping[str, Scores]
    top_5: float | None  # only where there are more than 5 brands
    conformal: Mapping[str, float]  # of the sets; empty where the model makes none
    unknown: Mapping[str, float]  # of photos called so; empty where the model cannot say


@dataclass(frozen=True)
class Results:
    """One run: what was found, how training went, and what the model says of the test photos."""

    manifest: tuple[Row, ...]
    folders: tuple[RatedFinding, ...]
    history: tuple[Epoch, ...]
    training: Mapping[str, Any]  # nested numbers: what training says of itself
    tuning_history: tuple[Epoch, ...]  # empty where nothing was tuned
    tuning: Mapping[str, Any]  # the same of fine-tuning
    brands: tuple[str, ...]  # sorted names
    photos: tuple[PredictedPhoto, ...]  # one per test photo
    metrics: Metrics
    heat_maps: np.ndarray  # (n, h, w) in 0…1, in the order of `photos`
    train_copies: tuple[Copy, ...]  # training photos, copies of training photos
    test_copies: tuple[Copy, ...]  # test photos, copies of training photos or of one another
    suspects: tuple[Suspect, ...]  # training photos, most suspicious first
    test_suspects: tuple[Suspect, ...]  # leak-free test photos, the same
    map: tuple[MappedPhoto, ...]
    origins: Mapping[str, Origin]  # by node
    rules: CopySeverities

    @property
    def ships_tuned(self) -> bool:
        """Whether the tuned network ships; else the frozen one, which `train` wrote."""
        return bool(self.tuning["ships_tuned"])

    @property
    def held_out(self) -> tuple[float, float]:
        """Loss and accuracy of the model that ships, on training photos it did not learn from."""
        if self.ships_tuned:
            return self.tuning["val_loss"], self.tuning["val_accuracy"]
        return self.history[-1].val_loss, self.history[-1].val_accuracy

    @cached_property
    def used(self) -> frozenset[str]:
        """The paths of the photos learned from, and of the test photos that the accuracy counts."""
        # The manifest was written before any vector was there.
        later = excluded_paths(self.train_copies, self.rules)
        kept = (row for row in self.manifest if row.split == "train" and row.status == KEPT)
        learned = (row.path for row in kept if row.path not in later)
        return frozenset(learned) | {photo.path for photo in self.leak_free}

    @cached_property
    def leak_free(self) -> tuple[PredictedPhoto, ...]:
        """Those that count: of photos that the training never saw."""
        return tuple(photo for photo in self.photos if not photo.leaked)

    def most_probable(self, photo: PredictedPhoto, brands: int) -> dict[str, float]:
        """At most `brands` with their probabilities, in descending order, the actual one always."""
        by_brand = dict(zip(self.brands, photo.probabilities, strict=True))
        order = sorted(by_brand, key=lambda brand: (-by_brand[brand], brand))
        shown = order[:brands]
        shown = shown if photo.actual in shown else [*shown[:-1], photo.actual]
        return {brand: by_brand[brand] for brand in shown}

    def heat_map(self, photo: PredictedPhoto) -> np.ndarray:
        """The heat map of a test photo, (h, w)."""
        return self.heat_maps[self._rows[photo.path]]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {photo.path: row for row, photo in enumerate(self.photos)}

    @cached_property
    def suspicions(self) -> tuple[tuple[Row, Row], ...]:
        """Pairs of which the second may be a copy of the first; those across the splits first."""
        rows = {row.path: row for row in self.manifest}
        pairs = [(rows[row.suspected_of], row) for row in self.manifest if row.suspected_of in rows]
        return tuple(sorted(pairs, key=lambda pair: pair[0].split == pair[1].split))

    @cached_property
    def right(self) -> tuple[PredictedPhoto, ...]:
        """Leak-free and right, surest first."""
        return surest_first(photo for photo in self.leak_free if photo.correct)

    @cached_property
    def wrong(self) -> tuple[PredictedPhoto, ...]:
        """Leak-free and wrong, surest first."""
        return surest_first(photo for photo in self.leak_free if not photo.correct)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Leak-free photos by brand (rows) and what they were taken for (columns): (k, k) ints."""
        label = {brand: index for index, brand in enumerate(self.brands)}
        counts = np.zeros((len(label), len(label)), dtype=np.int64)
        for photo in self.leak_free:
            counts[label[photo.actual], label[photo.predicted]] += 1
        return counts

    @cached_property
    def reliability(self) -> tuple[ReliabilityBin, ...]:
        """Leak-free photos in bins of how sure the model was; bins without a photo are left out."""
        bins = int(self.origins["evaluate"].parameters["ece_bins"])
        return tuple(b for b in bin_by_confidence(self.leak_free, bins) if b.photos)


def surest_first(photos: Iterable[PredictedPhoto]) -> tuple[PredictedPhoto, ...]:
    """By falling confidence; ties by path."""
    return tuple(sorted(photos, key=lambda photo: (-photo.confidence, photo.path)))


def one_brand_after_another(photos: Iterable[PredictedPhoto]) -> tuple[PredictedPhoto, ...]:
    """The first photo of each brand, then the second of each, and so on."""
    by_brand: defaultdict[str, list[PredictedPhoto]] = defaultdict(list)
    for photo in photos:
        by_brand[photo.actual].append(photo)
    rounds = zip_longest(*(by_brand[brand] for brand in sorted(by_brand)))
    return tuple(photo for photo in chain.from_iterable(rounds) if photo is not None)
