"""Milliseconds of answers of `carbrand serve`, and throughput: `python -m bench.serve [MODEL]`.

Starts a server, and asks it for photos of two sizes: one after the other, and CLIENTS at once. The
time is a client's, from the connection to the last byte of the answer. Then photos per second with
MANY clients at once, beside those of the engine alone in this process, in turns; and the core time
of a photo in server and clients, which other work on the machine does not change.
"""

from __future__ import annotations

import http.client
import io
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import psutil
from PIL import Image

from carbrand.model.classifier import Classifier

MODEL = "artifacts/finetune/model.h5"
SIZES = ((300, 200), (4000, 3000))
REQUESTS, CLIENTS, QUALITY = 50, 8, 90
MANY, PHOTOS, ROUNDS = 16, 200, 3


def draw(size: tuple[int, int]) -> bytes:
    """A JPEG file: blurred patches of random colours under the noise of a camera."""
    rng = np.random.default_rng(0)
    patches = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(patches.resize(size, Image.Resampling.BICUBIC), np.float32)
    noisy = smooth + rng.normal(0, 4, smooth.shape)
    file = io.BytesIO()
    photo = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    photo.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


@contextmanager
def serving(model: str) -> Iterator[tuple[psutil.Process, int, float]]:
    """A server, its port, and the seconds it took to start."""
    command = [sys.executable, "-m", "carbrand.cli", "serve", "--port", "0", "--model", model]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        found = re.search(r":(\d+)/ ", process.stdout.readline())
        if not found:
            raise SystemExit("the server did not start")
        yield psutil.Process(process.pid), int(found[1]), time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def ask(port: int, photo: bytes, path: str = "/predict") -> float:
    """Milliseconds until the answer was there."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", path, photo)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise SystemExit(f"the server answered {response.status}")
    return 1000 * (time.perf_counter() - began)


def row(what: str, times: Sequence[float]) -> str:
    """A row of the table."""
    p95 = statistics.quantiles(times, n=20)[-1]
    return f"| {what} | {min(times):.0f} | {statistics.median(times):.0f} | {p95:.0f} |"


def serve_many(port: int, photo: bytes, path: str) -> None:
    """Let MANY clients ask for PHOTOS answers."""
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(ask, [port] * PHOTOS, [photo] * PHOTOS, [path] * PHOTOS))


def print_throughput(server: psutil.Process, port: int, model: str) -> None:
    """Medians over ROUNDS, and the ratios."""
    photo, classifier = draw(SIZES[0]), Classifier(model)
    works: dict[str, Callable[[], object]] = {
        "engine alone": lambda: list(classifier.predict([photo] * PHOTOS)),
    }
    for path in ("/predict", "/predict?heatmap=false"):
        works[path] = partial(serve_many, port, photo, path)

    def core_seconds() -> float:
        of_server = server.cpu_times()
        return time.process_time() + of_server.user + of_server.system

    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            began, cores = time.perf_counter(), core_seconds()
            work()
            costs[name].append((time.perf_counter() - began, core_seconds() - cores))
    print(f"\nPhotos of {MANY} clients, medians of {ROUNDS} rounds; ratios to the engine alone:\n")
    print("| | photos per second | ratio | core time, ms | ratio |\n|---|---:|---:|---:|---:|")
    alone, alone_cores = np.median(costs["engine alone"], axis=0)
    for name, cost in costs.items():
        seconds, cores = np.median(cost, axis=0)
        print(
            f"| {name} | {PHOTOS / seconds:.1f} | {alone / seconds:.2f} "
            f"| {1000 * cores / PHOTOS:.1f} | {alone_cores / cores:.2f} |"
        )


def main() -> None:
    """Print the table."""
    model = sys.argv[1] if len(sys.argv) > 1 else MODEL
    with serving(model) as (server, port, seconds):
        print(f"Listening after {seconds:.1f} s. {REQUESTS} requests each, milliseconds:\n")
        print("| photo, clients at once | least | median | 95 % below |\n|---|---:|---:|---:|")
        for size in SIZES:
            photo = draw(size)
            for clients in (1, CLIENTS):
                with ThreadPoolExecutor(clients) as pool:
                    times = list(pool.map(ask, [port] * REQUESTS, [photo] * REQUESTS))
                print(row(f"{size[0]} x {size[1]}, {clients}", times), flush=True)
        print_throughput(server, port, model)


if __name__ == "__main__":
    main()
