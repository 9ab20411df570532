"""Check every photo and folder before any model sees them, and find copies of photos.

Reads the photos of both splits, and what a person says of them (`groups.csv`, `corrections.csv`);
changes, moves and deletes none of them. Writes `manifest.csv` (one row per file), `folders.csv`
(what is odd about folders), `summary.json` (counts) and `origin.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from carbrand.checks.copies.hash_search import MAX_DISTANCE
from carbrand.checks.copies.mark_copies import MATCH_KINDS
from carbrand.checks.inspection import Inspection, PhotoLimits, inspect_file
from carbrand.checks.issues import CODES, LEFT_OUT, NEVER_PHOTOS, meant_as_photos
from carbrand.checks.layout import find_dataset
from carbrand.checks.named_series import name_series
from carbrand.checks.pipeline_errors import find_errors
from carbrand.checks.splits import FolderLimits, check_splits
from carbrand.checks.statuses import set_statuses
from carbrand.node.files.atomic import StopAfterWriting
from carbrand.node.files.metrics_file import write_metrics
from carbrand.node.origin import write_origin
from carbrand.node.params import knob, read_section
from carbrand.node.progress import track
from carbrand.node.start import start
from carbrand.parallel.pool import parallel_map
from carbrand.photos.corrections import EXCLUDE, KINDS, correct_brands, read_corrections
from carbrand.photos.folders.folder_findings import (
    FOLDER_CODES,
    FOLDER_SEVERITIES,
    RatedFinding,
    excluded_brands,
    rate_findings,
    write_findings,
)
from carbrand.photos.manifest import ERROR, EXCLUDED, KEPT, Row, write_manifest
from carbrand.photos.photo import other_decoders
from carbrand.photos.photo_limits import MAX_PIXELS
from carbrand.photos.severities import SEVERITIES

MEGAPIXEL = 1_000_000
PACKAGES = ("pillow", "imagehash", "simplejpeg", "numpy")


def _severity() -> str:
    return knob(choices=SEVERITIES)


def _unusable() -> str:
    return knob(choices=("error", "exclude"))


@dataclass(frozen=True)
class ValidateParams:
    """How severe each finding is, and where it begins; see params.yaml."""

    unreadable: str = _unusable()
    truncated: str = _unusable()
    unsupported_format: str = _unusable()
    too_large: str = _unusable()
    damaged: str = _severity()
    wrong_extension: str = _severity()
    too_small: str = _severity()
    extreme_aspect: str = _severity()
    sixteen_bit: str = _severity()
    cmyk: str = _severity()
    colour_profile: str = _severity()
    unusable_profile: str = _severity()
    palette: str = _severity()
    alpha: str = _severity()
    exif_rotated: str = _severity()
    animated: str = _severity()
    one_colour: str = _severity()
    dark: str = _severity()
    bright: str = _severity()
    blurry: str = _severity()
    low_information: str = _severity()
    label_conflict: str = _severity()
    leaked: str = knob(choices=("error", "exclude", "warn"))
    duplicate: str = _severity()
    series: str = _severity()
    suspected: str = _severity()
    no_brand: str = knob(choices=FOLDER_SEVERITIES["no_brand"])
    missing_brand: str = knob(choices=FOLDER_SEVERITIES["missing_brand"])
    similar_names: str = knob(choices=FOLDER_SEVERITIES["similar_names"])
    unportable_name: str = knob(choices=FOLDER_SEVERITIES["unportable_name"])
    few_photos: str = knob(choices=FOLDER_SEVERITIES["few_photos"])
    imbalance: str = knob(choices=FOLDER_SEVERITIES["imbalance"])
    drift: str = knob(choices=FOLDER_SEVERITIES["drift"])
    max_megapixels: int = knob(low=1, high=MAX_PIXELS // MEGAPIXEL)
    min_side_px: int = knob(low=1, high=1000)
    max_aspect: float = knob(low=1.0, high=100.0)
    near_distance: int = knob(low=0, high=MAX_DISTANCE)
    min_train_photos: int = knob(low=1)
    min_test_photos: int = knob(low=1)
    max_imbalance: float = knob(low=1.0)
    max_drift: float = knob(low=0.0, high=1.0)
    series_pattern: str = knob()


@dataclass(frozen=True)
class Validated:
    """A row for every file, and what was found about the folders."""

    rows: list[Row]
    findings: list[RatedFinding]


def validate(
    folders: Mapping[str, Path], params: ValidateParams, corrections: Path | None = None
) -> Validated:
    """Check all files and folders of both splits, with the brands of the file `corrections`.

    Raises UserError when the folders are none a classifier can be made of, or a correction is none.
    """
    severities = asdict(params) | dict.fromkeys((*NEVER_PHOTOS, LEFT_OUT), "exclude")
    dataset = find_dataset(folders, severities)
    findings = rate_findings(dataset.findings, severities)
    limits = PhotoLimits(
        folders=tuple(folders.values()),
        max_pixels=params.max_megapixels * MEGAPIXEL,
        min_side_px=params.min_side_px,
        max_aspect=params.max_aspect,
    )
    files = dataset.files
    kinds: dict[str, str] = {}
    if corrections:
        brands = {brand for of_split in dataset.brands.values() for brand in of_split}
        known = read_corrections(corrections)
        files, kinds = correct_brands(files, brands, known, corrections)
    inspected = track(
        parallel_map(partial(inspect_file, limits=limits), files), "Checking photos", len(files)
    )
    rows = set_statuses(
        [_note_correction(item, kinds) for item in inspected],
        severities,
        excluded_brands(findings),
        params.near_distance,
        limits.max_pixels,
    )
    between = check_splits(
        rows,
        dataset.shared_brands,
        folders,
        FolderLimits(
            min_train_photos=params.min_train_photos,
            min_test_photos=params.min_test_photos,
            max_imbalance=params.max_imbalance,
            max_drift=params.max_drift,
        ),
    )
    return Validated(rows, findings + rate_findings(between, severities))


def _note_correction(item: Inspection, kinds: Mapping[str, str]) -> Inspection:
    kind = kinds.get(item.row.path, "")
    issues = (*item.row.issues, LEFT_OUT) if kind == EXCLUDE else item.row.issues
    return replace(item, row=replace(item.row, correction=kind, issues=issues))


def summarize(validated: Validated) -> dict[str, object]:
    """Counts of the manifest; every issue code is there, so that `dvc metrics diff` has a pair."""
    photos = meant_as_photos(validated.rows)
    statuses = Counter(row.status for row in photos)
    issues = Counter(code for row in validated.rows for code in row.issues)
    corrected = Counter(row.correction for row in photos)
    leaks = Counter(row.match for row in validated.rows if row.leaked)
    # Of folders, the findings are counted; of a missing brand, its photos are too many to compare.
    found = Counter(finding.code for finding in validated.findings)
    return {
        "images": len(photos),
        "kept": statuses[KEPT],
        "excluded": statuses[EXCLUDED],
        "errors": statuses[ERROR],
        "leaked": issues["leaked"],
        "leaked_by": {how: leaks[how] for how in MATCH_KINDS},
        "corrected": {kind: corrected[kind] for kind in KINDS},
        "issues": {code: issues[code] for code in CODES if code not in FOLDER_CODES}
        | {code: found[code] for code in FOLDER_CODES},
        **{split: _kept_by_brand(photos, split) for split in ("train", "test")},
    }


def _kept_by_brand(photos: Sequence[Row], split: str) -> dict[str, int]:
    brands = sorted({row.brand for row in photos if row.split == split})
    kept = Counter(row.brand for row in photos if row.split == split and row.status == KEPT)
    return {brand: kept[brand] for brand in brands}


def main(
    params_file: Path, train: Path, test: Path, groups: Path, corrections: Path, out: Path
) -> None:
    """Read the photos, write what was found, then stop the pipeline if it must stop."""
    params = read_section(params_file, "validate", ValidateParams)
    folders = {"train": train, "test": test}
    validated = validate(folders, params, corrections)
    rows = name_series(validated.rows, groups, params.series_pattern)
    validated = replace(validated, rows=rows)
    out.mkdir(parents=True, exist_ok=True)
    # Also when the pipeline stops here: by hand, the node leaves a manifest to look things up in.
    write_manifest(out / "manifest.csv", validated.rows)
    write_findings(out / "folders.csv", validated.findings)
    write_metrics(out / "summary.json", summarize(validated))
    write_origin(out / "origin.json", params, (*PACKAGES, *other_decoders(validated.rows)))
    errors = find_errors(validated.rows, validated.findings, asdict(params), folders)
    if errors:
        raise StopAfterWriting(*errors)


if __name__ == "__main__":
    start(main)
