"""`python -m bench.finetuning FOLDER SETTINGS…`: accuracy and time with settings of fine-tuning.

Each of SETTINGS is a row: `default`, or values of the section `finetune` of params.yaml, as in
`epochs=0` (the frozen backbone ships) or `size_px=288,predict_px=352`. The whole pipeline runs with
each, as params.yaml has the rest; the first run computes the vectors, too.

FOLDER/train/ is learned from, and FOLDER/test/, or another folder in it (`--test`), is tested on; a
brand without a test photo gets one that was learned from, which is a leak and does not count.
Where there is none, FOLDER/<brand>/ is dealt: BRANDS brands are drawn, and of each some series with
PHOTOS photos together to learn from; its other series are the test photos, and a brand that has
none is left out.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from bench.measure import PIPELINE, ROOT, copy_project, edit_section, measure
from bench.photos import name_series, read_rows, read_vectors
from carbrand.node.errors import exit_status
from carbrand.node.files.metrics_file import read_metrics
from carbrand.node.params import read_section
from carbrand.photos.manifest import Row
from stages.features import FeaturesParams

TABLE = (
    "| `finetune` | ships | accuracy | 95 % interval | log loss | wall, s | CPU, min |\n"
    "|---|---|---:|---:|---:|---:|---:|"
)


def parse_settings(text: str) -> dict[str, object]:
    """`size_px=288,ema=0.9` as values; none for `default`."""
    if text == "default":
        return {}
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}


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


def deal_brands(arguments: argparse.Namespace, datasets: Path) -> None:
    """Fill `datasets` with photos of brands that are drawn."""
    params = replace(read_section(ROOT / "params.yaml", "features", FeaturesParams), views=1)
    rows = read_rows(arguments.folder.resolve())
    rng = np.random.default_rng(arguments.seed)
    brands = sorted({row.brand for row in rows})
    chosen = set(rng.choice(brands, min(arguments.brands, len(brands)), replace=False))
    rows = [row for row in rows if row.brand in chosen]
    vectors, recipe = read_vectors(rows, params)
    series = name_series(rows, vectors, recipe, params)
    for brand in sorted(chosen):
        own = [number for number, row in enumerate(rows) if row.brand == brand]
        dealt = deal([rows[n] for n in own], [series[n] for n in own], arguments.photos, rng)
        if not all(dealt):
            continue
        for split, members in zip(("train", "test"), dealt, strict=True):
            folder = datasets / split / brand
            folder.mkdir(parents=True)
            for row in members:
                shutil.copy(row.path, folder)


def copy_splits(folder: Path, test: str, datasets: Path) -> None:
    """Fill `datasets` with the photos of FOLDER/train and FOLDER/`test`."""
    shutil.copytree(folder / "train", datasets / "train")
    shutil.copytree(folder / test, datasets / "test")
    for brand in (datasets / "train").iterdir():
        target = datasets / "test" / brand.name
        if not target.exists():
            target.mkdir()
            shutil.copy(min(brand.iterdir()), target)


def run_with(settings: Mapping[str, object], project: Path) -> str:
    """A row of the table, without its name."""
    shutil.copy(ROOT / "params.yaml", project)
    edit_section(project, "finetune", settings)
    cost = measure(PIPELINE, project, quiet=True)
    metrics = read_metrics(project / "artifacts/evaluate/metrics.json")
    tuned = read_metrics(project / "artifacts/finetune/summary.json")["ships_tuned"]
    low, high = 100 * metrics["accuracy_low"], 100 * metrics["accuracy_high"]
    return (
        f"{'tuned' if tuned else 'frozen'} | {100 * metrics['accuracy']:.1f} % of "
        f"{metrics['images']} | {low:.1f}–{high:.1f} % | {metrics['log_loss']:.3f} | "
        f"{cost.seconds:.0f} | {cost.cpu_s / 60:.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.finetuning")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("settings", nargs="+", metavar="SETTINGS")
    parser.add_argument("--test", default="test", help="the folder in FOLDER to test on")
    parser.add_argument("--brands", type=int, default=8)
    parser.add_argument("--photos", type=int, default=15, help="to learn from, of each brand")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "project")
        copy_project(project)
        datasets = project / "Datasets"
        shutil.rmtree(datasets)
        if (arguments.folder / "train").is_dir():
            copy_splits(arguments.folder, arguments.test, datasets)
        else:
            deal_brands(arguments, datasets)
        counts = [len(read_rows(datasets / split)) for split in ("train", "test")]
        print(f"{counts[0]} photos to learn from, {counts[1]} to test on\n\n{TABLE}", flush=True)
        for text in arguments.settings:
            print(f"| `{text}` | {run_with(parse_settings(text), project)} |", flush=True)


if __name__ == "__main__":
    sys.exit(exit_status(main))
