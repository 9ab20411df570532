"""`python -m bench.held_out FOLDER`: what held-out training photos say, on the photos of FOLDER.

Calibration: log loss and calibration error before and after temperature scaling, over several
foldings. Suspects: how many of SWAPS photos put under another brand are among the first LOOKED_AT,
over several draws. Only training photos belong into FOLDER (FOLDER/<brand>/).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.photos import name_series, read_rows, read_vectors
from carbrand.node.params import read_section
from carbrand.training.held_out import predict_held_out, score_held_out
from carbrand.training.suspects import find_suspects
from carbrand.vectors.feature_store import Features
from stages.features import FeaturesParams
from stages.train import TrainParams, calibrate, train

PARAMS = Path("params.yaml")
FOLDINGS, DRAWS = 4, 20
SWAPS, LOOKED_AT = 10, 15


def read(folder: Path) -> Features:
    """The features of the photos, as params.yaml says."""
    params = read_section(PARAMS, "features", FeaturesParams)
    rows = read_rows(folder)
    vectors, recipe = read_vectors(rows, params)
    paths, brands = [row.path for row in rows], [row.brand for row in rows]
    hashes = [row.pixel_sha256 for row in rows]
    series = name_series(rows, vectors, recipe, params)
    return Features(vectors, paths, brands, hashes, series, recipe, Path("none.h5"))


def swap(features: Features, draw: int) -> tuple[Features, set[str]]:
    """The features with SWAPS photos under another brand, and which these are."""
    rng = np.random.default_rng(draw)
    brands = list(features.photo_brands)
    chosen = rng.choice(len(brands), SWAPS, replace=False)
    for number in chosen:
        others = [brand for brand in features.brands if brand != features.photo_brands[number]]
        brands[number] = others[int(rng.integers(len(others)))]
    return replace(features, photo_brands=brands), {features.paths[n] for n in chosen}


def main(folder: Path) -> None:
    """Print both."""
    features = read(folder)
    settings = read_section(PARAMS, "train", TrainParams)
    for seed in range(FOLDINGS):
        params = replace(settings, seed=seed)
        head = train(features, params)
        temperature, calibrated = calibrate(head, features, params)
        scores = [
            score_held_out(predict_held_out(logits, features), features.brands)
            for logits in (head.held_out_logits, calibrated)
        ]
        before, after = (f"{s['log_loss']:.3f} / {s['ece']:.3f}" for s in scores)
        print(f"folding {seed}: temperature {temperature:.2f}, log loss / ECE {before} → {after}")
    found = []
    for draw in range(DRAWS):
        swapped, planted = swap(features, draw)
        first = [suspect.path for suspect in find_suspects(swapped)[:LOOKED_AT]]
        found.append(len(planted & set(first)))
    shares = np.mean(np.array(found) >= 8)
    print(
        f"{SWAPS} swaps among the first {LOOKED_AT} suspects, {DRAWS} draws: "
        f"at least {min(found)}, median {np.median(found):g}, mean {np.mean(found):.1f}; "
        f"8 or more in {shares:.0%}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
