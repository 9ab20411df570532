"""`python -m bench.growth COUNT…`: time and memory of every node for so many photos.

Draws COUNT small photos (160 x 120, all different, of 10 brands or `--brands`) into a temporary
folder, a tenth of the test photos as mirror images of training photos, and runs the nodes one after
the other. The network sees them at SIZE_PX, one view each: growth is the question here, not the
cost of a photo, which `bench.engines` tells. Prints seconds and memory of each node, and how many
leaks were found.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bench.measure import ROOT, Cost, measure
from carbrand.node.files.dvc_yaml import parse_yaml
from carbrand.parallel.pool import map_in_processes

SIZE = (160, 120)
SIZE_PX = 32
RAN_BEFORE = ("validate", "features", "train", "finetune", "evaluate")


def draw(number: int, brand: int) -> Image.Image:
    """Coloured clouds, of another tint for each brand; another number, other clouds."""
    rng = np.random.default_rng(number)
    tint = np.random.default_rng(brand).integers(0, 160, 3)
    coarse = (tint + rng.integers(0, 96, (9, 12, 3))).astype(np.uint8)
    return Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)


def write_photo(task: tuple[Path, int, int]) -> None:
    """Draw photo `number`: four of five are to train on."""
    folder, number, brands = task
    split, brand = "test" if number % 5 == 4 else "train", number // 5 % brands
    target = folder / split / f"brand {brand}"
    target.mkdir(parents=True, exist_ok=True)
    is_copy = number % 50 == 4
    photo = ImageOps.mirror(draw(number - 4, brand)) if is_copy else draw(number, brand)
    photo.save(target / f"{number:07}.jpg", quality=85)


def run_nodes(folder: Path) -> Iterator[tuple[str, Cost]]:
    """Each node as a process of its own, with what it cost."""
    params = parse_yaml((ROOT / "params.yaml").read_text("utf-8"))
    params["features"] |= {"size_px": SIZE_PX, "views": 1}
    params_file = folder / "params.yaml"
    params_file.write_text(json.dumps(params), "utf-8")  # JSON is YAML
    out = {node: str(folder / node) for node in RAN_BEFORE}
    model = f"{out['finetune']}/model.h5"
    for node, paths in {
        "validate": [str(folder / "Datasets/train"), str(folder / "Datasets/test")],
        "features": [f"{out['validate']}/manifest.csv", str(folder / ".vectors")],
        "train": [out["features"], str(folder / ".training")],
        "finetune": [out["train"]],
        "evaluate": [model, out["validate"], out["features"]],
        "plot": [*out.values(), str(folder / "Datasets")],
    }.items():
        command = [sys.executable, "-m", f"stages.{node}", str(params_file), *paths]
        yield node, measure([*command, str(folder / node)], ROOT, quiet=True)


def draw_figure(costs: dict[str, dict[int, Cost]], path: Path) -> None:
    """Seconds and memory by number of photos, a line for each node."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    time, memory = figure.subplots(1, 2)
    for node, by_count in costs.items():
        counts = list(by_count)
        time.plot(counts, [by_count[count].seconds for count in counts], "o-", label=node)
        memory.plot(counts, [by_count[count].peak_mb for count in counts], "o-", label=node)
    time.set(xscale="log", yscale="log", xlabel="photos", ylabel="seconds", title="Time")
    memory.set(xscale="log", ylim=(0, 2048), xlabel="photos", ylabel="MB", title="Largest process")
    for axes in (time, memory):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    time.legend(frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main(counts: list[int], brands: int, figure: Path | None) -> None:
    """A row for each node and count."""
    costs: dict[str, dict[int, Cost]] = {}
    print("| photos | node | seconds | ms per photo | memory, MB | leaks found |")
    print("|---:|---|---:|---:|---:|---:|")
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tasks = ((folder / "Datasets", number, brands) for number in range(count))
            for _ in map_in_processes(write_photo, tasks):
                pass
            for node, cost in run_nodes(folder):
                costs.setdefault(node, {})[count] = cost
                found = ""
                if node == "validate":
                    summary = json.loads((folder / "validate/summary.json").read_text("utf-8"))
                    found = f"{summary['leaked']} of {-(-count // 50)}"
                each = 1000 * cost.seconds / count
                figures = f"{cost.seconds:.1f} | {each:.1f} | {cost.peak_mb} | {found}"
                print(f"| {count:,} | {node} | {figures} |", flush=True)
                if figure:
                    draw_figure(costs, figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.growth")
    parser.add_argument("counts", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--brands", type=int, default=10)
    parser.add_argument("--figure", type=Path, help="a PNG to draw it into")
    arguments = parser.parse_args()
    main(arguments.counts, arguments.brands, arguments.figure)
