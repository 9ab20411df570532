"""Make a vector of each photo's bytes.

Reads photos. Writes `photos.csv`, `train.npz` (vectors and brands) and `summary.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import write_metrics
from carbrand.node.files.table import write_table
from carbrand.node.params import knob, read_section
from carbrand.node.start import start
from stages.pause import pause


@dataclass(frozen=True)
class CollectParams:
    """How a photo becomes a vector; see params.yaml."""

    bins: int = knob(low=2, high=256)


def histogram(data: bytes, bins: int) -> np.ndarray:
    """Shares of the values of bytes. (bins,)"""
    counts, _ = np.histogram(np.frombuffer(data, np.uint8), bins, (0, 256))
    return counts / len(data)


def main(params: Path, train: Path, test: Path, out: Path) -> None:
    """See the module's docstring."""
    options = read_section(params, "collect", CollectParams)
    rows, vectors, brands = [], [], []
    for split, folder in (("train", train), ("test", test)):
        for path in sorted(folder.glob("*/*")):
            data = path.read_bytes()
            if not data:
                raise UserError(f"{path.as_posix()} is empty. Replace or remove it.")
            rows.append((path.as_posix(), split, path.parent.name))
            if split == "train":
                vectors.append(histogram(data, options.bins))
                brands.append(path.parent.name)
    pause("collect works")
    write_table(out / "photos.csv", ("path", "split", "brand"), rows)
    pause("collect writes")
    np.savez(out / "train.npz", vectors=np.array(vectors), brands=np.array(brands))
    write_metrics(out / "summary.json", {"photos": len(rows), "train": len(vectors)})


if __name__ == "__main__":
    start(main)
