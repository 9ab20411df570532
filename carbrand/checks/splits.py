"""Checks of the splits: photos per brand, class imbalance, and drift between train and test."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, median
from typing import Protocol

from carbrand.node.wording import join_names, one_line
from carbrand.photos.folders.folder_findings import SHOWN, FolderFinding
from carbrand.photos.manifest import KEPT, SPLITS, Row

# Significance level of a difference between the splits.
CHANCE = 0.001
ONE_SOURCE = (
    "The accuracy holds for such photos only: take both folders from one source, unless that is "
    "meant."
)


class Measured(Protocol):
    """Measures of a photo; width, height: of the upright one."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def brightness(self) -> float: ...
    @property
    def sharpness(self) -> float: ...


@dataclass(frozen=True)
class FolderLimits:
    """Thresholds of findings.

    min_train_photos, min_test_photos: per brand. max_imbalance: largest brand / smallest brand of a
    split. max_drift: 0…1, a Kolmogorov-Smirnov statistic or total variation distance.
    """

    min_train_photos: int
    min_test_photos: int
    max_imbalance: float
    max_drift: float


def check_splits(
    rows: Sequence[Row],
    brands: Sequence[str],
    folders: Mapping[str, Path],
    limits: FolderLimits,
) -> list[FolderFinding]:
    """Find `few_photos`, `imbalance` and `drift` among the kept photos of `brands`."""
    kept: dict[str, list[Row]] = {split: [] for split in SPLITS}
    used = set(brands)
    for row in rows:
        if row.status == KEPT and row.brand in used:
            kept[row.split].append(row)
    counts = {}
    for split, photos in kept.items():
        number = Counter(row.brand for row in photos)
        counts[split] = {brand: number[brand] for brand in sorted(used)}
    findings = []
    for split in SPLITS:
        findings += _find_few(counts[split], split, folders[split], limits)
        findings += _find_imbalance(counts[split], split, folders[split], limits.max_imbalance)
    findings += _find_shares(counts, folders, limits.max_drift)
    for trait in TRAITS:
        values = [[trait.measure(row) for row in kept[split]] for split in SPLITS]
        findings += _find_drift(trait, values[0], values[1], folders, limits.max_drift)
    return findings


def _find_few(
    counts: Mapping[str, int], split: str, folder: Path, limits: FolderLimits
) -> list[FolderFinding]:
    least = limits.min_train_photos if split == "train" else limits.min_test_photos
    findings = []
    for brand, count in counts.items():
        if count >= least:
            continue
        place = f"{folder}/{one_line(brand)}"
        photos = "no photo" if count == 0 else f"{count} photo{'s' * (count != 1)}"
        if split == "train":
            why = "too few to learn what the brand looks like"
        elif count == 0:
            why = "its accuracy cannot be measured"
        else:
            points = round(100 * wilson_half_width(count))
            why = f"its accuracy can be measured only to ±{points} percentage points"
        verb = "train on" if split == "train" else "test on"
        findings.append(
            FolderFinding(
                "few_photos",
                place,
                f"{place} holds {photos} to {verb}, expected at least {least}: {why}. Add photos.",
            )
        )
    return findings


def wilson_half_width(n: int) -> float:
    """Largest half-width of the 95 % Wilson interval (JASA 1927) for `n` photos: that at 50 %."""
    z = NormalDist().inv_cdf(0.975)
    return z / (2 * math.sqrt(n + z * z))


def _find_imbalance(
    counts: Mapping[str, int], split: str, folder: Path, most: float
) -> list[FolderFinding]:
    """Find `imbalance`; brands without photos are reported as `few_photos`."""
    present = {brand: count for brand, count in counts.items() if count}
    if not present:
        return []
    # Ties are broken by name.
    largest = min(present, key=lambda brand: (-present[brand], brand))
    small = sorted(
        (brand for brand in present if present[largest] > most * present[brand]),
        key=lambda brand: (present[brand], brand),
    )
    if not small:
        return []
    names = [f"`{one_line(brand)}` {present[brand]:,}" for brand in small[:SHOWN]]
    if len(small) > SHOWN:
        names.append(f"{len(small) - SHOWN:,} more under {present[largest] / most:,.4g}")
    effect = (
        "The model sees little of the small ones"
        if split == "train"
        else "The accuracy is then mostly that of the large ones"
    )
    shown = names[0] if len(names) == 1 else join_names(names)
    return [
        FolderFinding(
            "imbalance",
            str(folder),
            f"{folder} is out of balance: `{one_line(largest)}` has {present[largest]:,} photos, "
            f"{shown}, more than {most:g} to 1. {effect}: add photos of them.",
        )
    ]


def _find_shares(
    counts: Mapping[str, Mapping[str, int]], folders: Mapping[str, Path], most: float
) -> list[FolderFinding]:
    """Find `drift` of the brands' shares: total variation distance, and chi-squared test."""
    # Brands without photos are reported as `few_photos`.
    both = [brand for brand in counts["train"] if all(counts[split][brand] for split in SPLITS)]
    if len(both) < 2:
        return []
    table = [[counts[split][brand] for brand in both] for split in SPLITS]
    train, test = ([count / sum(line) for count in line] for line in table)
    distance = sum(abs(a - b) for a, b in zip(train, test, strict=True)) / 2
    if distance <= most:
        return []
    from scipy.stats import chi2_contingency

    if chi2_contingency(table).pvalue >= CHANCE:
        return []
    furthest = max(range(len(both)), key=lambda i: abs(train[i] - test[i]))
    return [
        FolderFinding(
            "drift",
            str(folders["test"]),
            f"{folders['test']} mixes the brands unlike {folders['train']}: "
            f"`{one_line(both[furthest])}` is {100 * test[furthest]:.0f} % of its photos, there "
            f"{100 * train[furthest]:.0f} %. {ONE_SOURCE}",
        )
    ]


@dataclass(frozen=True)
class Trait:
    """A measure of a photo. tolerance: factors up to this one are no drift."""

    name: str
    measure: Callable[[Measured], float]
    tolerance: float
    less: str
    more: str
    unit: str


TRAITS = (
    Trait("size", lambda row: row.width * row.height / 1e6, 1.5, "smaller", "larger", "megapixels"),
    Trait(
        "shape",
        lambda row: row.width / max(row.height, 1),
        1.1,
        "narrower",
        "wider",
        "of width to height",
    ),
    Trait("brightness", lambda row: row.brightness, 1.2, "darker", "brighter", "of brightness"),
    Trait("sharpness", lambda row: row.sharpness, 1.5, "less sharp", "sharper", "of sharpness"),
)


@dataclass(frozen=True)
class Difference:
    """How the values of a trait differ. summary: in words, where they differ at all.

    statistic: 0…1. pvalue: of the stronger direction. smaller: whether that is downwards.
    """

    statistic: float
    pvalue: float
    smaller: bool
    word: str
    summary: str


def compare_trait(trait: Trait, here: Sequence[float], there: Sequence[float]) -> Difference:
    """One-sided Kolmogorov-Smirnov tests in both directions.

    The values `here` are first moved by the tolerance, so that 1000 and 1024 px are equal.
    """
    from scipy.stats import ks_2samp

    less = ks_2samp([v * trait.tolerance for v in here], there, "greater", method="asymp")
    more = ks_2samp([v / trait.tolerance for v in here], there, "less", method="asymp")
    smaller = bool(less.statistic >= more.statistic)
    stronger = less if smaller else more
    # The value at which the distributions differ most: medians alone may hide it.
    edge = stronger.statistic_location
    shares = [
        100 * sum((value <= edge) == smaller for value in values) / len(values)
        for values in (here, there)
    ]
    return Difference(
        stronger.statistic,
        stronger.pvalue,
        smaller,
        trait.less if smaller else trait.more,
        f"{shares[0]:.0f} % of them have {'at most' if smaller else 'more than'} {_short(edge)} "
        f"{trait.unit}, there {shares[1]:.0f} %; the medians are {_short(median(here))} and "
        f"{_short(median(there))}.",
    )


def _find_drift(
    trait: Trait,
    train: Sequence[float],
    test: Sequence[float],
    folders: Mapping[str, Path],
    most: float,
) -> list[FolderFinding]:
    """Find `drift` of a trait."""
    if not train or not test:
        return []
    found = compare_trait(trait, test, train)
    if found.statistic <= most or found.pvalue >= CHANCE:
        return []
    return [
        FolderFinding(
            "drift",
            str(folders["test"]),
            f"{folders['test']} looks unlike {folders['train']}: its photos are {found.word}. "
            f"{found.summary} {ONE_SOURCE}",
        )
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
