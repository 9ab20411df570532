"""`python -m bench.few_photos FOLDER`: what steps of fine-tuning gain where photos are few.

Draws BRANDS brands of FOLDER/<brand>/, and of each some series with PHOTOS photos together to learn
from; its other series are the test photos, and a brand that has none is left out. Runs the pipeline
on them as params.yaml has it, with `finetune.min_steps` at each of STEPS (0: the frozen backbone
ships). Prints accuracy and log loss on the test photos, and processor time (the first run computes
the vectors, too).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.measure import PIPELINE, ROOT, copy_project, edit_section, measure
from bench.photos import name_series, read_rows, read_vectors
from carbrand.node.errors import exit_status
from carbrand.node.files.metrics_file import read_metrics
from carbrand.node.params import read_section
from carbrand.photos.manifest import Row
from carbrand.training.finetuning.settings import FinetuneParams
from stages.features import FeaturesParams


def deal(
    rows: Sequence[Row], series: Sequence[str], photos: int, rng: np.random.Generator
) -> tuple[list[Row], list[Row]]:
    """Photos of one brand to learn from, at most so many in whole series, and the others.

    The first series may be larger.
    """
    learned: list[Row] = []
    tested: list[Row] = []
    names = sorted(set(series))
    rng.shuffle(names)
    for name in names:
        members = [row for row, own in zip(rows, series, strict=True) if own == name]
        fits = not learned or len(learned) + len(members) <= photos
        (learned if fits else tested).extend(members)
    return learned, tested


def make_datasets(arguments: argparse.Namespace, project: Path) -> tuple[int, int]:
    """Fill the project's Datasets; the numbers of photos to learn from and to test on."""
    params = replace(read_section(ROOT / "params.yaml", "features", FeaturesParams), views=1)
    rows = read_rows(arguments.folder.resolve())
    rng = np.random.default_rng(arguments.seed)
    brands = sorted({row.brand for row in rows})
    chosen = set(rng.choice(brands, min(arguments.brands, len(brands)), replace=False))
    rows = [row for row in rows if row.brand in chosen]
    vectors, recipe = read_vectors(rows, params)
    series = name_series(rows, vectors, recipe, params)
    shutil.rmtree(project / "Datasets")
    counts = [0, 0]
    for brand in sorted(chosen):
        own = [number for number, row in enumerate(rows) if row.brand == brand]
        dealt = deal([rows[n] for n in own], [series[n] for n in own], arguments.photos, rng)
        if not all(dealt):
            continue
        for number, (split, members) in enumerate(zip(("train", "test"), dealt, strict=True)):
            folder = project / "Datasets" / split / brand
            folder.mkdir(parents=True)
            for row in members:
                shutil.copy(row.path, folder)
            counts[number] += len(members)
    return counts[0], counts[1]


def run_with(steps: int, project: Path) -> str:
    """A row of the table."""
    epochs = read_section(ROOT / "params.yaml", "finetune", FinetuneParams).epochs if steps else 0
    edit_section(project, "finetune", {"epochs": epochs, "min_steps": steps, "min_photos": 0})
    cost = measure(PIPELINE, project, quiet=True)
    metrics = read_metrics(project / "artifacts/evaluate/metrics.json")
    tuning = read_metrics(project / "artifacts/finetune/summary.json")
    return (
        f"{steps:>6} {tuning['epochs']:>7} {'yes' if tuning['ships_tuned'] else 'no':>6} "
        f"{100 * metrics['accuracy']:>9.1f} {metrics['log_loss']:>9.3f} {cost.cpu_s / 60:>8.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.few_photos")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--brands", type=int, default=8)
    parser.add_argument("--photos", type=int, default=15, help="to learn from, of each brand")
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 100, 200])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "project")
        copy_project(project)
        learned, tested = make_datasets(arguments, project)
        print(f"{learned} photos to learn from, {tested} to test on")
        print(f"{'steps':>6} {'epochs':>7} {'ships':>6} {'accuracy':>9} {'log loss':>9} CPU min")
        for steps in arguments.steps:
            print(run_with(steps, project), flush=True)


if __name__ == "__main__":
    sys.exit(exit_status(main))
