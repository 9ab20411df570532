"""What every backbone costs: `python -m bench.backbones [NAME…]`, at the size it was trained at.

Of random weights, on OpenVINO. Photos per second are counted from the time that cores worked, which
other work on the machine disturbs less than the time that passed: as many as CORES cores do. Prints
a table with the parameters of the network up to its last maps, and the accuracy that Keras states.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.network.architecture.applications import APPLICATIONS, build_application
from carbrand.network.backbones import BACKBONES, build_backbone
from carbrand.network.inference.engines import Engine, open_engine
from carbrand.network.keras_import import import_keras_to_build
from carbrand.network.pooling import add_pooling
from carbrand.network.weights.network_file import read_network

CORES = 2
SECONDS, ROUNDS = 3.0, 2


def build(name: str) -> Any:
    """The backbone `name`, of random weights where its own are a download."""
    size_px = BACKBONES[name]
    if name not in APPLICATIONS:
        return build_backbone(name, size_px, "imagenet")
    model, _ = build_application(name, size_px, False, import_keras_to_build())
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        spread = np.sqrt(2 / max(1, np.prod(shape[:-1])))
        weight.assign(rng.normal(0.5 if len(shape) == 1 else 0, 0.1 * spread, shape) ** 2)
    return model


def open_backbone(model: Any) -> Engine:
    """The backbone with pooled maps, on OpenVINO."""
    network, _ = add_pooling(model, "avg_max", ())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.h5")
        network.save(path)
        file = read_network(path)
        return open_engine("openvino", file, [file.output])


def core_seconds(engine: Engine, size_px: int) -> float:
    """The least time of a core that a photo took."""
    photos = list(np.random.default_rng(0).integers(0, 256, (4, size_px, size_px, 3), np.uint8))
    list(engine(photos))
    best = float("inf")
    for _ in range(ROUNDS):
        start, begun, count = time.process_time(), time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS:
            count += len(list(engine(photos)))
        best = min(best, (time.process_time() - start) / count)
    return best


def main(names: list[str]) -> None:
    print(f"| backbone | trained at | parameters, million | top-1 | photos/s of {CORES} cores |")
    print("|---|---:|---:|---:|---:|")
    for name in names:
        model = build(name)
        parameters, size_px = model.count_params() / 1e6, BACKBONES[name]
        speed = CORES / core_seconds(open_backbone(model), size_px)
        known = APPLICATIONS.get(name)
        top1 = f"{known.top1:.1%}" if known and known.top1 else "-"
        print(f"| `{name}` | {size_px} | {parameters:.1f} | {top1} | {speed:.3g} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(BACKBONES))
