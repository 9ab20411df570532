"""`python -m bench.drift [PHOTOS OTHERS]`: how often `carbrand drift` cries wolf, and what it sees.

Without folders: of ACCOUNTS years of weekly looks at photos of the same kind, with the alpha and
the looks of params.yaml, how many have a false alarm. New photos, test photos and training photos
are drawn anew for each account (vectors of two overlapping clusters, traits with ties).

With folders (PHOTOS/<brand>/ and OTHERS/<brand>/): how often drift is seen where some of the new
photos are from OTHERS, or all are darker. PHOTOS is split at random into training, test and new
photos; the vectors are those of the frozen backbone of params.yaml.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.measure import ROOT
from bench.photos import read_rows, read_vectors
from carbrand.model.drift import compare_photos
from carbrand.model.drift_params import DriftParams
from carbrand.model.observation import Observation
from carbrand.node.params import read_section
from carbrand.photos.photo import open_photo
from stages.features import FeaturesParams

ACCOUNTS, TRAINING, TESTED, NEW = 200, 100, 50, 60
SPLITS = 20
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
DARKER = (0.9, 0.8, 0.7, 0.6)


def draw(random: np.random.Generator, number: int) -> list[Observation]:
    """Photos of one kind."""
    centres = np.where(random.random((number, 1)) < 0.5, 2.0, 2.5)
    vectors = np.abs(random.normal(centres, 1.0, (number, 24))).astype(np.float32)
    sides, bright = random.choice([240, 320, 480], number), random.beta(5, 5, number).round(2)
    return [
        Observation(str(row), int(sides[row]), 240, bright[row], 0.6, "", 0.0, None, vectors[row])
        for row in range(number)
    ]


def has_drift(
    new: list[Observation],
    training: list[Observation],
    tested: list[Observation],
    params: DriftParams,
) -> bool:
    """Whether one look finds drift."""
    learned, unseen = (np.stack([p.vector for p in photos]) for photos in (training, tested))
    return any(m.drift for m in compare_photos(new, learned, unseen, training, params))


def count_false_alarms(params: DriftParams, accounts: int, seed: int) -> int:
    """Of so many accounts of `looks` looks each, those with a false alarm."""
    random, alarms = np.random.default_rng(seed), 0
    for _ in range(accounts):
        training, tested = draw(random, TRAINING), draw(random, TESTED)
        alarms += any(
            has_drift(draw(random, NEW), training, tested, params) for _ in range(params.looks)
        )
    return alarms


def look_at(folder: Path) -> list[Observation]:
    """The photos in FOLDER/<brand>/."""
    rows = read_rows(folder)
    params = replace(read_section(ROOT / "params.yaml", "features", FeaturesParams), views=1)
    vectors = read_vectors(rows, params)[0][:, 0]
    return [
        Observation(r.path, r.width, r.height, r.brightness, r.sharpness, "", 0.0, None, vector)
        for r, vector in zip(rows, vectors, strict=True)
    ]


def look_at_darker(photos: list[Observation], factor: float) -> list[Observation]:
    """The same photos, with every level of a pixel times `factor`."""
    with tempfile.TemporaryDirectory() as folder:
        for number, photo in enumerate(photos):
            path = Path(folder, "brand", f"{number:05}.png")
            path.parent.mkdir(exist_ok=True)
            open_photo(photo.name).point(lambda level: int(level * factor)).save(path)
        return look_at(Path(folder))


def share_seen(
    photos: list[Observation],
    make_new: Callable[[np.ndarray, np.random.Generator], list[Observation]],
    params: DriftParams,
) -> float:
    """Of SPLITS of the photos into thirds, those with drift. make_new: of the rows of new ones."""
    seen = 0
    for split in range(SPLITS):
        random = np.random.default_rng(split)
        training, tested, new = np.array_split(random.permutation(len(photos)), 3)
        old, test = ([photos[row] for row in rows] for rows in (training, tested))
        seen += has_drift(make_new(new, random), old, test, params)
    return seen / SPLITS


def print_power(folder: Path, other_folder: Path, params: DriftParams) -> None:
    """A row for each number of photos from the other folder, and for each darkening of all."""
    photos, others = look_at(folder), look_at(other_folder)
    third = len(photos) // 3

    def with_others(many: int, rows: np.ndarray, random: np.random.Generator) -> list[Observation]:
        odd = random.permutation(len(others))[:many]
        return [*(photos[row] for row in rows[many:]), *(others[row] for row in odd)]

    def chosen(
        among: list[Observation], rows: np.ndarray, _random: np.random.Generator
    ) -> list[Observation]:
        return [among[row] for row in rows]

    print("| of the new photos are others | drift is seen |")
    print("|---:|---:|")
    for many in [round(share * third) for share in SHARES]:
        seen = share_seen(photos, partial(with_others, many), params)
        print(f"| {many} of {third} | {seen:.0%} |", flush=True)
    print("\n| light of the new photos | drift is seen |")
    print("|---:|---:|")
    for factor in DARKER:
        seen = share_seen(photos, partial(chosen, look_at_darker(photos, factor)), params)
        print(f"| {factor:.0%} | {seen:.0%} |", flush=True)


def main() -> None:
    """Print the one or the other."""
    params = read_section(ROOT / "params.yaml", "drift", DriftParams)
    if len(sys.argv) == 3:
        print_power(Path(sys.argv[1]), Path(sys.argv[2]), params)
        return
    alarms = count_false_alarms(params, ACCOUNTS, seed=0)
    print(f"{alarms} of {ACCOUNTS} accounts of {params.looks} looks have a false alarm.")


if __name__ == "__main__":
    main()
