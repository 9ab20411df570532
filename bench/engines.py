"""Photos per second of each engine: `python -m bench.engines [FOLDER]`, against the ceiling.

Reads the photos of FOLDER, or draws COUNT JPEG files of 300 x 200 into a temporary one. The ceiling
is what the multiply-adds of the network alone would take at the speed of a large fp32 matrix
product, measured in between. Each figure is the best of ROUNDS, for other work on the machine only
ever slows it down.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from carbrand.network.backbones import build_backbone, levels_of
from carbrand.network.extraction import extract
from carbrand.network.inference.engines import Engine, open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import add_pooling
from carbrand.network.weights.network_file import read_network
from carbrand.photos.photo import SUFFIXES, read_photo

BACKBONE, SIZE_PX = "efficientnet_lite0", 224
COUNT, PHOTO_SIZE, QUALITY = 600, (300, 200), 90
ENGINES = ("openvino", "keras")
# Photos of the forward pass alone, which are all held in memory.
IN_MEMORY = 200
ROUNDS = 3
MATRIX = 2048


def draw(folder: Path) -> None:
    """COUNT photos: a gradient of random colours under the noise of a camera."""
    width, height = PHOTO_SIZE
    across = np.linspace(0, 1, width)[None, :, None]
    down = np.linspace(0, 1, height)[:, None, None]
    for number in range(COUNT):
        rng = np.random.default_rng(number)
        start, right, low = rng.uniform(0, 255, (3, 3))
        colours = start + (right - start) * across * 0.5 + (low - start) * down * 0.5
        noisy = colours + rng.normal(0, 8, (height, width, 3))
        photo = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        photo.save(folder / f"{number:04}.jpg", quality=QUALITY)


def multiply_adds(network: Any) -> int:
    """Those of the convolutions, for one photo; all else is little beside them."""
    return sum(
        layer.output.shape[1] * layer.output.shape[2] * int(np.prod(layer.kernel.shape))
        for layer in network.layers
        if hasattr(layer, "kernel")
    )


@dataclass
class Cost:
    """The least that one photo took: seconds, and seconds of a core, which other work on the
    machine disturbs less.
    """

    seconds: float = float("inf")
    core_seconds: float = float("inf")

    def measure(self, work: Callable[[], object], photos: float) -> None:
        """Do `work`, which looks at so many photos, once more."""
        start, start_of_cores = time.perf_counter(), time.process_time()
        work()
        seconds, of_cores = time.perf_counter() - start, time.process_time() - start_of_cores
        self.seconds = min(self.seconds, seconds / photos)
        self.core_seconds = min(self.core_seconds, of_cores / photos)


def read(path: str) -> np.ndarray:
    """The one view of a photo, (1, SIZE_PX, SIZE_PX, 3) uint8."""
    return read_photo(path, SIZE_PX, "stretch")[None]


def look_at(photos: list[np.ndarray], engine: Engine) -> None:
    """The forward pass alone."""
    for _ in engine(photos):
        pass


def vectors_of(paths: list[str], engine: Engine) -> np.ndarray:
    """From files to vectors (n, d)."""
    return np.concatenate(list(extract(paths, read, engine)))


def row(name: str, cost: Cost, ceiling: Cost) -> str:
    """A line of the table."""
    figures = f"{1 / cost.seconds:.0f} | {ceiling.seconds / cost.seconds:.2f}"
    of_cores = f"{1000 * cost.core_seconds:.1f} | {ceiling.core_seconds / cost.core_seconds:.2f}"
    return f"| {name} | {figures} | {of_cores} |"


def main(folder: Path) -> None:
    """The ceiling, then each engine: photos in memory, and from files."""
    paths = [str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if not paths:
        sys.exit(f"{folder} holds no photos.")
    import_keras()  # before it is imported in another way, to build the network
    backbone = build_backbone(BACKBONE, SIZE_PX, "imagenet")
    network, _ = add_pooling(backbone, "levels", levels_of(backbone))
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "network.h5"
        network.save(path)
        file = read_network(path)
        engines = {name: open_engine(name, file, [file.output]) for name in ENGINES}
    in_memory = [read(path)[0] for path in paths[:IN_MEMORY]]
    vectors = {name: vectors_of(paths, engine) for name, engine in engines.items()}

    needed = multiply_adds(network)
    a, b = np.random.default_rng(0).random((2, MATRIX, MATRIX), dtype=np.float32)
    ceiling = Cost()
    forward, from_files = ({name: Cost() for name in ENGINES} for _ in range(2))
    for _ in range(ROUNDS):
        for _ in range(3):
            ceiling.measure(lambda: a @ b, MATRIX**3 / needed)
        for name, engine in engines.items():
            forward[name].measure(partial(look_at, in_memory, engine), len(in_memory))
            from_files[name].measure(partial(vectors_of, paths, engine), len(paths))

    speed = 2 * needed / ceiling.seconds / 1e9
    print(f"{len(paths)} photos, {BACKBONE} at {SIZE_PX} px: {needed / 1e6:.0f} million")
    print(f"multiply-adds each; fp32 matrix product: {speed:.0f} GFLOP/s.\n")
    print("| | photos/s | share of the ceiling | ms of a core per photo | share of it |")
    print("|---|---:|---:|---:|---:|")
    print(row("ceiling", ceiling, ceiling))
    for name in ENGINES:
        print(row(f"{name}, photos in memory", forward[name], ceiling))
        print(row(f"{name}, from files", from_files[name], ceiling))
    one, other = (vectors[name] for name in ENGINES)
    off = np.linalg.norm(one - other, axis=1) / np.linalg.norm(other, axis=1)
    print(f"\nLargest relative difference of a photo's vectors: {off.max():.1e}.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            draw(Path(made))
            main(Path(made))
