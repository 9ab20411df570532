"""What can be said of the folders of photos: their names, how full they are, how alike they are.

A finding is about a folder, never about one photo. What it leads to is decided by its severity,
which the caller brings.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, median
from typing import Protocol

from carbrand.node.table import read_rows, write_table
from carbrand.node.wording import one_line
from carbrand.photos.manifest import KEPT

SPLITS = ("train", "test")
# In the order in which findings are listed; of each code, the severities that make sense.
FOLDER_SEVERITIES = {
    "no_brand": ("error", "warn", "ignore"),
    "missing_brand": ("error", "exclude"),
    "similar_names": ("error", "warn", "ignore"),
    "unportable_name": ("error", "warn", "ignore"),
    "few_photos": ("error", "warn", "ignore"),
    "imbalance": ("error", "warn", "ignore"),
    "drift": ("error", "warn", "ignore"),
}
FOLDER_CODES = tuple(FOLDER_SEVERITIES)
# A difference between the splits that chance makes less often than this is none of chance.
CHANCE = 0.001
ONE_SOURCE = (
    "The accuracy holds for such photos only: take both folders from one source, unless that is "
    "meant."
)
# How many names a line bears.
SHOWN = 3

_SPACES_AND_DASHES = r"[\s_.'\u2019\u2010-\u2015\u2212-]+"


class PhotoRow(Protocol):
    """A photo as the manifest knows it; `width` and `height` of the upright photo."""

    @property
    def split(self) -> str: ...
    @property
    def brand(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def brightness(self) -> float: ...
    @property
    def sharpness(self) -> float: ...


@dataclass(frozen=True)
class Limits:
    """From where on a finding is one.

    `min_train_photos` and `min_test_photos` are per brand. `max_imbalance` is the largest brand of
    a split in multiples of its smallest. `max_drift`, in 0…1, is the share of photos that would
    have to be others for the splits to look alike.
    """

    min_train_photos: int
    min_test_photos: int
    max_imbalance: float
    max_drift: float


@dataclass(frozen=True)
class FolderFinding:
    """What is odd about `folder`, in words that say how to mend it. `code` is of FOLDER_CODES.

    A missing brand is named by `brand`; `alike` then holds the name in the other split that
    differs by no more than a spelling, if there is one.
    """

    code: str
    folder: str
    message: str
    brand: str = ""
    alike: str = ""


@dataclass(frozen=True)
class JudgedFinding:
    """A finding and what it leads to: `error`, `exclude` or `warn`."""

    code: str
    severity: str
    folder: str
    message: str
    brand: str = ""


def judge_folders(
    findings: Sequence[FolderFinding], severities: Mapping[str, str]
) -> list[JudgedFinding]:
    """`findings` in the order of FOLDER_CODES, without those to be ignored.

    A brand that is missing only for a spelling is not told twice where the spelling is an error.
    """
    return [
        JudgedFinding(
            finding.code,
            severities[finding.code],
            finding.folder,
            finding.message,
            finding.brand,
        )
        for finding in sorted(findings, key=lambda finding: FOLDER_CODES.index(finding.code))
        if severities[finding.code] != "ignore"
        and not (finding.alike and severities["similar_names"] == "error")
    ]


def error_lines(findings: Sequence[JudgedFinding]) -> list[str]:
    """A line for every finding that must stop the pipeline, with the way to let it pass."""
    return [
        f"{finding.message[:-1]}, or set validate.{finding.code}: "
        f"{'exclude' if 'exclude' in FOLDER_SEVERITIES[finding.code] else 'warn'}."
        for finding in findings
        if finding.severity == "error"
    ]


def brands_left_out(findings: Sequence[JudgedFinding]) -> set[str]:
    """The brands whose photos stay out because a split has none of them."""
    return {finding.brand for finding in findings if finding.severity == "exclude"}


def compare_names(
    brands: Mapping[str, Sequence[str]], folders: Mapping[str, Path]
) -> list[FolderFinding]:
    """`missing_brand` and `similar_names`, from the names of the brand folders of each split."""
    spellings = defaultdict(set)
    for names in brands.values():
        for name in names:
            spellings[fold_name(name)].add(name)
    missing = [
        _missing(brand, split, other, folders, spellings[fold_name(brand)] & set(brands[split]))
        for split, other in (SPLITS, SPLITS[::-1])
        for brand in sorted(set(brands[other]) - set(brands[split]))
    ]
    similar = [
        _similar(sorted(names), brands, folders)
        for _, names in sorted(spellings.items())
        if len(names) > 1
    ]
    return missing + similar


def _missing(
    brand: str, split: str, other: str, folders: Mapping[str, Path], alike: set[str]
) -> FolderFinding:
    there, lacking = f"{folders[other]}/{one_line(brand)}", f"{folders[split]}/{one_line(brand)}"
    hint = "".join(
        f" {folders[split]}/{one_line(name)} looks like the same brand." for name in sorted(alike)
    )
    return FolderFinding(
        "missing_brand",
        there,
        f"{lacking} does not exist, but the brand `{one_line(brand)}` is in "
        f"{folders[other]}.{hint} Add its photos, or remove {there}.",
        brand,
        min(alike, default=""),
    )


def fold_name(name: str) -> str:
    """What stays of a brand's name without case, accents, and the choice of spaces and dashes.

    Accents are dropped from Latin letters only: in other scripts they are letters of their own.
    Between digits a dash stays, and so does one at an end: 1.1 is not 11, and -5 is not 5.
    """
    letters = unicodedata.normalize("NFKD", name.casefold()).casefold()
    plain = re.sub("([a-z])[\u0300-\u036f]+", r"\1", letters).strip().strip("_")
    return re.sub(rf"(?<=\w){_SPACES_AND_DASHES}(?=\w)", _join, plain)


def _join(gap: re.Match[str]) -> str:
    before, after = gap.string[gap.start() - 1], gap.string[gap.end()]
    return "-" if before.isdigit() and after.isdigit() else ""


def _similar(
    names: Sequence[str], brands: Mapping[str, Sequence[str]], folders: Mapping[str, Path]
) -> FolderFinding:
    places = [
        f"{folders[split]}/{one_line(name)}"
        for name in names
        for split in SPLITS
        if name in brands[split]
    ]
    return FolderFinding(
        "similar_names",
        places[0],
        f"{_listed(places)} look like the same brand: the names differ only in "
        f"{_difference(names)}. Give them one name.",
    )


def _difference(names: Sequence[str]) -> str:
    """The least that explains how the names differ."""

    def without_case(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold()

    def without_spaces(name: str) -> str:
        return " ".join(unicodedata.normalize("NFC", name).split())

    steps: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("how an accent is stored", lambda name: unicodedata.normalize("NFC", name)),
        ("upper and lower case", without_case),
        ("spaces", without_spaces),
        (
            "spaces, dashes or dots",
            lambda name: re.sub(_SPACES_AND_DASHES, "", unicodedata.normalize("NFC", name)),
        ),
        (
            "accents",
            lambda name: re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", name)),
        ),
    )
    for words, simplify in steps:
        if len({simplify(name) for name in names}) == 1:
            return words
    return "case, accents, spaces or dashes"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def compare_photos(
    rows: Sequence[PhotoRow],
    brands: Sequence[str],
    folders: Mapping[str, Path],
    limits: Limits,
) -> list[FolderFinding]:
    """`few_photos`, `imbalance` and `drift`, from the kept photos among `rows`.

    `brands` are those that are used: which both splits have.
    """
    kept: dict[str, list[PhotoRow]] = {split: [] for split in SPLITS}
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
    counts: Mapping[str, int], split: str, folder: Path, limits: Limits
) -> list[FolderFinding]:
    least = limits.min_train_photos if split == "train" else limits.min_test_photos
    findings = []
    for brand, count in counts.items():
        if count >= least:
            continue
        place = f"{folder}/{one_line(brand)}"
        photos = "no photo" if count == 0 else f"{count} photo{'s' * (count != 1)}"
        if split == "train":
            why = "too little to show what the brand has in common"
        elif count == 0:
            why = "how well the brand is told cannot be measured"
        else:
            points = round(100 * half_width(count))
            why = f"how well the brand is told is known only to ±{points} percentage points"
        verb = "learn from" if split == "train" else "measure on"
        findings.append(
            FolderFinding(
                "few_photos",
                place,
                f"{place} holds {photos} to {verb}, expected at least {least}: {why}. Add photos.",
            )
        )
    return findings


def half_width(n: int) -> float:
    """Half of the 95 % interval of a share measured on `n` photos (Wilson, JASA 1927), at most.

    It is widest where half of the photos are right, and has this short form there.
    """
    z = NormalDist().inv_cdf(0.975)
    return z / (2 * math.sqrt(n + z * z))


def _find_imbalance(
    counts: Mapping[str, int], split: str, folder: Path, most: float
) -> list[FolderFinding]:
    """Brands without a photo are left to `few_photos`."""
    present = {brand: count for brand, count in counts.items() if count}
    if not present:
        return []
    # Of brands with as many photos, the first by name.
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
    shown = names[0] if len(names) == 1 else _listed(names)
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
    """Brands that make up another share of the test photos than of the training photos.

    Measured by the total variation distance of the shares, tested by chi-squared.
    """
    # Brands that have none are left to `few_photos`.
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
    """A number that every photo has. Factors up to `tolerance` are no difference to care about."""

    measure: Callable[[PhotoRow], float]
    tolerance: float
    less: str
    more: str
    unit: str


TRAITS = (
    Trait(lambda row: row.width * row.height / 1e6, 1.5, "smaller", "larger", "megapixels"),
    Trait(
        lambda row: row.width / max(row.height, 1), 1.1, "narrower", "wider", "of width to height"
    ),
    Trait(lambda row: row.brightness, 1.2, "darker", "brighter", "of brightness"),
    Trait(lambda row: row.sharpness, 1.5, "less sharp", "sharper", "of sharpness"),
)


def _find_drift(
    trait: Trait,
    train: Sequence[float],
    test: Sequence[float],
    folders: Mapping[str, Path],
    most: float,
) -> list[FolderFinding]:
    """Whether the test photos have less or more of `trait`, beyond tolerance, effect and chance.

    The effect is the statistic of Kolmogorov and Smirnov, once for either direction, after the
    test photos were brought nearer by the tolerance: 1000 and 1024 pixels must not count.
    """
    if not train or not test:
        return []
    from scipy.stats import ks_2samp

    less = ks_2samp([v * trait.tolerance for v in test], train, "greater", method="asymp")
    more = ks_2samp([v / trait.tolerance for v in test], train, "less", method="asymp")
    stronger, word, side = max(
        (less, trait.less, "at most"), (more, trait.more, "more than"), key=lambda r: r[0].statistic
    )
    if stronger.statistic <= most or stronger.pvalue >= CHANCE:
        return []
    # Where the two differ most, in words: medians alone may hide it.
    edge = stronger.statistic_location
    here, there = (
        sum((value <= edge) == (side == "at most") for value in values) / len(values)
        for values in (test, train)
    )
    return [
        FolderFinding(
            "drift",
            str(folders["test"]),
            f"{folders['test']} looks unlike {folders['train']}: its photos are {word}. "
            f"{100 * here:.0f} % of them have {side} {_short(edge)} {trait.unit}, there "
            f"{100 * there:.0f} %; the medians are {_short(median(test))} and "
            f"{_short(median(train))}. {ONE_SOURCE}",
        )
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


_COLUMNS = ("code", "severity", "folder", "message")


def write_findings(path: Path, findings: Sequence[JudgedFinding]) -> None:
    """Write `findings` in their order."""
    rows = [(item.code, item.severity, item.folder, item.message) for item in findings]
    write_table(path, _COLUMNS, rows)


def read_findings(path: Path) -> list[JudgedFinding]:
    """What `write_findings` wrote; which brand a finding is about is in its message only."""
    return [
        JudgedFinding(**{name: row[name] for name in _COLUMNS}) for row in read_rows(path, _COLUMNS)
    ]
