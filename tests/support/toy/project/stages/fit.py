"""Fit a softmax to the vectors of training photos.

Reads what `collect` wrote. Writes `model.npz`, `history.csv` and `summary.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.node.files.metrics_file import write_metrics
from carbrand.node.params import knob, read_section
from carbrand.node.progress import training_progress
from carbrand.node.start import start
from carbrand.scores.files.history import Epoch, write_history
from stages.pause import pause


@dataclass(frozen=True)
class FitParams:
    """How it learns; see params.yaml."""

    epochs: int = knob(low=1, high=1000)
    l2: float = knob(low=0.0)


def main(params: Path, collect: Path, out: Path) -> None:
    """See the module's docstring."""
    options = read_section(params, "fit", FitParams)
    with np.load(collect / "train.npz") as file:
        vectors, names = file["vectors"], file["brands"]
    brands, labels = np.unique(names, return_inverse=True)
    wanted = np.eye(len(brands))[labels]
    weights, history = np.zeros((vectors.shape[1], len(brands))), []
    with training_progress("fit", options.epochs) as show:
        for epoch in range(1, options.epochs + 1):
            scores = np.exp(vectors @ weights)
            shares = scores / scores.sum(1, keepdims=True)
            loss = -float(np.log(shares[wanted == 1]).mean())
            right = float((shares.argmax(1) == labels).mean())
            history.append(Epoch(epoch, loss, right, loss, right))
            slope = vectors.T @ (shares - wanted) / len(vectors) + options.l2 * weights
            weights -= 10 * slope
            show(epoch, f"loss {loss:.3f}")
    pause("fit works")
    np.savez(out / "model.npz", weights=weights, brands=brands)
    pause("fit writes")
    write_history(out / "history.csv", history)
    write_metrics(out / "summary.json", {"loss": loss, "accuracy": right})


if __name__ == "__main__":
    start(main)
