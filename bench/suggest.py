"""`python -m bench.suggest FOLDER`: what suggested labels gain, beside labels of random photos.

Splits the photos of FOLDER/<brand>/ at random into START labelled photos of each brand, a pool and
TEST for testing. SUGGESTED labels of the pool are compared with RANDOM ones by the accuracy that a
head on the frozen vectors of params.yaml gains, over SPLITS splits; the random labels are drawn
DRAWS times in each. With a small folder, name smaller numbers: `--suggested 15 --random 24`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.measure import ROOT
from bench.photos import read_rows, read_vectors
from bench.representations import fit
from carbrand.model.suggestions import choose, margins
from carbrand.node.params import read_section
from carbrand.training.problem import softmax
from carbrand.vectors.standardizer import Standardizer
from stages.features import FeaturesParams

PENALTY = 0.003
TEST = 0.3
DRAWS = 3


@dataclass(frozen=True)
class Photos:
    """vectors (n, d) as a Prediction has them; inputs (n, d) of the head; labels (n,)."""

    vectors: np.ndarray
    inputs: np.ndarray
    labels: np.ndarray

    def predict(self, learned: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """(n, brands): what a head on the photos `learned`, by row, predicts of those `asked`."""
        kernel, bias = fit(self.inputs[learned], self.labels[learned], PENALTY / len(learned))
        return softmax(self.inputs[asked] @ kernel + bias)

    def accuracy(self, learned: np.ndarray, asked: np.ndarray) -> float:
        """The share of `asked` that is right."""
        right = self.predict(learned, asked).argmax(axis=1) == self.labels[asked]
        return float(right.mean())


def read(folder: Path) -> Photos:
    """The photos, seen by the frozen backbone of params.yaml."""
    params = replace(read_section(ROOT / "params.yaml", "features", FeaturesParams), views=1)
    rows = read_rows(folder)
    vectors, recipe = read_vectors(rows, params)
    brands = sorted({row.brand for row in rows})
    space = Standardizer.fit(vectors, recipe.widths)
    inputs = space.transform(vectors[:, 0]).astype(np.float64)
    return Photos(vectors[:, 0], inputs, np.array([brands.index(row.brand) for row in rows]))


def split(labels: np.ndarray, start: int, random: np.random.Generator) -> list[np.ndarray]:
    """Rows: `start` labelled ones of each brand, the pool, and those for testing."""
    order = random.permutation(len(labels))
    test, rest = np.split(order, [round(TEST * len(order))])
    first = np.concatenate([rest[labels[rest] == brand][:start] for brand in np.unique(labels)])
    return [first, np.setdiff1d(rest, first), test]


def gains(
    photos: Photos, start: int, suggested: int, drawn: int, seed: int
) -> tuple[float, dict[str, float]]:
    """The accuracy before, and what each way of choosing gains in one split."""
    random = np.random.default_rng(seed)
    first, pool, test = split(photos.labels, start, random)
    before = photos.accuracy(first, test)
    probabilities = photos.predict(first, pool)
    rows: dict[str, list[int] | np.ndarray] = {
        "suggested": choose(probabilities, photos.vectors[pool], photos.vectors[first], suggested),
        "least margin": np.argsort(margins(probabilities))[:suggested],
    }
    gained = {
        name: photos.accuracy(np.concatenate([first, pool[chosen]]), test) - before
        for name, chosen in rows.items()
    }
    for number in (suggested, drawn):
        several = [
            photos.accuracy(np.concatenate([first, random.permutation(pool)[:number]]), test)
            for _ in range(DRAWS)
        ]
        gained[f"{number} at random"] = float(np.mean(several)) - before
    return before, gained


def main() -> None:
    """Print a row for each number of labelled photos to start with."""
    parser = argparse.ArgumentParser(prog="python -m bench.suggest", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", type=int, nargs="+", default=[1, 2, 4], help="of each brand")
    parser.add_argument("--suggested", type=int, default=50)
    parser.add_argument("--random", type=int, default=80)
    parser.add_argument("--splits", type=int, default=5)
    arguments = parser.parse_args()
    photos = read(arguments.folder)
    print("| labelled | accuracy | gains, in points | at least that at random, of splits |")
    print("|---:|---:|---|---:|")
    for start in arguments.start:
        results = [
            gains(photos, start, arguments.suggested, arguments.random, seed)
            for seed in range(arguments.splits)
        ]
        all_gains = {name: [gained[name] for _, gained in results] for name in results[0][1]}
        enough = all_gains[f"{arguments.random} at random"]
        wins = sum(a >= b for a, b in zip(all_gains["suggested"], enough, strict=True))
        means = [f"{name} {100 * np.mean(values):+.1f}" for name, values in all_gains.items()]
        print(
            f"| {start} of each brand | {np.mean([before for before, _ in results]):.1%} | "
            f"{', '.join(means)} | {wins} of {len(results)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
