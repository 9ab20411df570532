"""`python -m bench.growth COUNT…`: time and memory of `validate` for so many photos.

Draws COUNT small photos (160 x 120, all different, a tenth of them copied or edited) into a
temporary folder and runs the node. Prints seconds and the most memory that any of its processes
took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).parent.parent
BRANDS = 10
SIZE = (160, 120)


def draw(number: int) -> Image.Image:
    """Coloured clouds; another number, other clouds."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)


def fill(folder: Path, count: int) -> None:
    """`count` photos, four of five to train on; every tenth test photo mirrors a training photo."""
    for number in range(count):
        split = "test" if number % 5 == 4 else "train"
        target = folder / split / f"brand {number // 5 % BRANDS}"
        target.mkdir(parents=True, exist_ok=True)
        photo = ImageOps.mirror(draw(number - 4)) if number % 50 == 4 else draw(number)
        photo.save(target / f"{number:07}.jpg", quality=85)


def measure(folder: Path) -> tuple[float, float]:
    """Seconds, and peak memory in MB of the node's largest process."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "stages.validate", str(ROOT / "params.yaml")]
    command += [str(folder / "train"), str(folder / "test"), str(folder / "out")]
    timed = ["/usr/bin/time", "-f", "%M", *command]
    result = subprocess.run(timed, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stderr)
    return time.perf_counter() - start, int(result.stderr.split()[-1]) / 1024


def main(counts: list[int]) -> None:
    """A row for each count."""
    print("| photos | seconds | ms per photo | peak memory, MB | leaks found |")
    print("|---:|---:|---:|---:|---:|")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder), count)
            seconds, peak = measure(Path(folder))
            found = json.loads((Path(folder) / "out/summary.json").read_text("utf-8"))["leaked"]
        each = 1000 * seconds / count
        planted = -(-count // 50)
        figures = f"{seconds:.1f} | {each:.1f} | {peak:.0f} | {found} of {planted}"
        print(f"| {count:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [100, 1000, 10000])
