"""Milliseconds of answers of `carbrand serve`, and throughput: `python -m bench.serve [MODEL]`.

Starts a server, and asks it for photos of two sizes: one after the other, and CLIENTS at once. The
time is a client's, from the connection to the last byte of the answer. Then photos per second with
MANY clients at once, beside those of the engine alone in this process, in turns.
"""

from __future__ import annotations

import http.client
import io
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
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
def serving(model: str) -> Iterator[tuple[int, float]]:
    """A server's port, and the seconds it took to start."""
    command = [sys.executable, "-m", "carbrand.cli", "serve", "--port", "0", "--model", model]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        found = re.search(r":(\d+)/ ", process.stdout.readline())
        if not found:
            raise SystemExit("the server did not start")
        yield int(found[1]), time.perf_counter() - began
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


def served_per_second(port: int, photo: bytes, path: str) -> float:
    """Photos per second that MANY clients get answers for; clients take processor time too."""
    began = time.perf_counter()
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(ask, [port] * PHOTOS, [photo] * PHOTOS, [path] * PHOTOS))
    return PHOTOS / (time.perf_counter() - began)


def predicted_per_second(classifier: Classifier, photo: bytes) -> float:
    """Photos per second of the engine, which has nobody to answer."""
    began = time.perf_counter()
    count = sum(1 for _ in classifier.predict([photo] * PHOTOS))
    return count / (time.perf_counter() - began)


def print_throughput(port: int, model: str) -> None:
    """Best of ROUNDS, and the ratios."""
    photo, classifier = draw(SIZES[0]), Classifier(model)
    paths = ("/predict", "/predict?heatmap=false")
    engine, served = 0.0, dict.fromkeys(paths, 0.0)
    for _ in range(ROUNDS):
        engine = max(engine, predicted_per_second(classifier, photo))
        for path in paths:
            served[path] = max(served[path], served_per_second(port, photo, path))
    print(f"\nPhotos per second, {MANY} clients: engine alone {engine:.1f}", end="")
    for path, rate in served.items():
        print(f", {path} {rate:.1f} ({rate / engine:.2f})", end="")
    print()


def main() -> None:
    """Print the table."""
    model = sys.argv[1] if len(sys.argv) > 1 else MODEL
    with serving(model) as (port, seconds):
        print(f"Listening after {seconds:.1f} s. {REQUESTS} requests each, milliseconds:\n")
        print("| photo, clients at once | least | median | 95 % below |\n|---|---:|---:|---:|")
        for size in SIZES:
            photo = draw(size)
            for clients in (1, CLIENTS):
                with ThreadPoolExecutor(clients) as pool:
                    times = list(pool.map(ask, [port] * REQUESTS, [photo] * REQUESTS))
                print(row(f"{size[0]} x {size[1]}, {clients}", times), flush=True)
        print_throughput(port, model)


if __name__ == "__main__":
    main()
