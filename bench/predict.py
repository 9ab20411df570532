"""`python -m bench.predict [COUNT]`: what a table of predictions costs beside its network alone.

Draws COUNT photos (2,000) of 300 x 200 for speed, and ten times as many of 32 x 24 for memory. The
model is the default backbone under a random head. Prints photos per second and core time of the
engine of `features` and of `carbrand predict --csv`, in turns, the best of ROUNDS; then the memory
of a whole process after a tenth of the small photos, and at the end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from bench import engines
from carbrand.commands.many_photos.predictions_table import predictions_table
from carbrand.model.classifier import Classifier
from carbrand.model.model_file import save_classifier
from carbrand.network.backbones import build_backbone, levels_of
from carbrand.network.extraction import extract
from carbrand.network.inference.engines import Engine, open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import add_pooling
from carbrand.network.weights.network_file import read_network
from carbrand.vectors.feature_store import Recipe

SIZE_PX, SMALL_PX = engines.SIZE_PX, 32
BRANDS = ("asta", "bolt", "cirro")
ROUNDS = 5


def make_model(path: Path, size_px: int) -> Path:
    """The default backbone with a random head."""
    backbone = build_backbone(engines.BACKBONE, size_px, "imagenet")
    network, widths = add_pooling(backbone, "levels", levels_of(backbone))
    kernel = np.random.default_rng(0).normal(0, 0.1, (sum(widths), len(BRANDS)))
    recipe = Recipe("stretch", size_px, tuple(widths))
    save_classifier(path, network, recipe, kernel, np.zeros(len(BRANDS)), BRANDS)
    return path


def extract_all(paths: list[str], engine: Engine) -> None:
    """What `features` does with photos that are in no cache."""
    for _ in extract(paths, engines.read, engine):
        pass


def write_all(paths: list[str], model: Path, classifier: Classifier) -> None:
    """What `carbrand predict --csv` does, once the model is loaded."""
    table = model.with_suffix(".csv")
    with predictions_table(table, model, BRANDS, paths, ()) as rows:
        for path, outcome in classifier.predict_each(paths):
            rows.add(path, outcome)


def compare_speed(folder: Path, count: int) -> None:
    """Photos per second of both, and their ratio."""
    engines.COUNT = count
    (folder / "photos").mkdir()
    engines.draw(folder / "photos")
    paths = sorted(str(path) for path in (folder / "photos").iterdir())
    model = make_model(folder / "model.h5", SIZE_PX)
    file = read_network(model)
    engine = open_engine("auto", file, file.layers["head"].inputs)
    works = {
        "engine of features": partial(extract_all, paths, engine),
        "carbrand predict --csv": partial(write_all, paths, model, Classifier(model)),
    }
    costs = {name: engines.Cost() for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            costs[name].measure(work, len(paths))
    for name, cost in costs.items():
        speed, core_ms = 1 / cost.seconds, 1000 * cost.core_seconds
        print(f"{name}: {speed:.0f} photos/s, {core_ms:.1f} ms of a core each")
    alone, whole = costs.values()
    of_cores = alone.core_seconds / whole.core_seconds
    print(f"ratio: {alone.seconds / whole.seconds:.2f}, of core time {of_cores:.2f}", flush=True)


def watch_memory(folder: Path, count: int) -> None:
    """Resident memory of `carbrand predict --csv`, after a tenth of the photos and at the end."""
    rng = np.random.default_rng(0)
    (folder / "small").mkdir()
    for number in range(count):
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "small" / f"{number:06}.png", compress_level=1)
    model = make_model(folder / "small.h5", SMALL_PX)
    table = folder / "small.csv"
    command = ["predict", str(folder / "small"), "--csv", str(table), "--model", str(model)]
    process = subprocess.Popen([sys.executable, "-m", "carbrand.cli", *command])
    watched, seen = psutil.Process(process.pid), {}
    while process.poll() is None:
        parts = list(folder.glob("small.csv.*.part"))
        rows = parts[0].read_bytes().count(b"\n") if parts else 0
        seen[rows] = watched.memory_info().rss >> 20
        time.sleep(0.2)
    tenth = next(mb for rows, mb in seen.items() if rows > count / 10)
    last = max(rows for rows, mb in seen.items() if mb)
    print(f"memory: {tenth} MB after {count // 10:,} photos, {seen[last]} MB after {last:,}")


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    import_keras()  # before it is imported in another way, to build the network
    with tempfile.TemporaryDirectory() as made:
        compare_speed(Path(made), count)
        watch_memory(Path(made), 10 * count)
