"""Make the model that ships from that of `train`.

Reads the model of `train`, and how many photos it learned from.
Writes `model.h5`, `history.csv` (a row per epoch), `summary.json` and `origin.json`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.metrics_file import read_metrics, write_metrics
from carbrand.node.origin import write_origin
from carbrand.node.params import knob, read_section
from carbrand.node.start import start
from carbrand.scores.history import write_history

PACKAGES = ("carbrand",)


@dataclass(frozen=True)
class FinetuneParams:
    """How the backbone learns; see params.yaml."""

    epochs: int = knob(low=0, high=0)


def hand_on(train: Path, out: Path) -> None:
    """Let the model of `train` ship: the same bytes, and a history without an epoch."""
    photos = read_metrics(train / "summary.json")["photos"]
    shutil.copyfile(train / "model.h5", out / "model.h5")
    write_history(out / "history.csv", ())
    write_metrics(out / "summary.json", {"photos": photos, "epochs": 0, "ships_tuned": 0})


def main(params_file: Path, train: Path, out: Path) -> None:
    """Write the model that ships, and where it comes from."""
    params = read_section(params_file, "finetune", FinetuneParams)
    out.mkdir(parents=True, exist_ok=True)
    if params.epochs == 0:
        hand_on(train, out)
    write_origin(out / "origin.json", params, PACKAGES)


if __name__ == "__main__":
    start(main)
