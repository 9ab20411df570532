"""Draw what a run found: figures for a talk, and one page to read from top to bottom.

Reads what validate, train and evaluate wrote, and the photos that are shown.
Writes `loss.png`, `accuracy.png`, `confusion.png`, `brands.png`, `photos.png` and `report.html`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from carbrand import figures
from carbrand.errors import UserError
from carbrand.params import knob, read_section
from carbrand.report import render_report
from carbrand.results import Results, read_results
from carbrand.stage import start


@dataclass(frozen=True)
class PlotParams:
    """How much is shown, and how large; see params.yaml."""

    dpi: int = knob(low=50, high=400)
    photos: int = knob(low=1, high=60)
    mistakes: int = knob(low=0, high=200)
    pairs: int = knob(low=0, high=200)
    thumbnail_px: int = knob(low=64, high=640)


def draw(results: Results, params: PlotParams) -> dict[str, bytes]:
    """Every file by its name; the same bytes for the same results."""
    confusion = figures.confusion(results, params.dpi)
    report = render_report(
        results,
        confusion_png=confusion,
        photos=params.photos,
        mistakes=params.mistakes,
        pairs=params.pairs,
        thumbnail_px=params.thumbnail_px,
    )
    return {
        "loss.png": figures.loss_curves(results, params.dpi),
        "accuracy.png": figures.accuracy_curves(results, params.dpi),
        "confusion.png": confusion,
        "brands.png": figures.brands(results, params.dpi),
        "photos.png": figures.photo_page(results, params.dpi, params.photos),
        "report.html": report,
    }


def main(
    params: Path, validate: Path, train: Path, evaluate: Path, photos: Path, out: Path
) -> None:
    """Read the run, draw everything, then write: a failure leaves what was there before."""
    settings = read_section(params, "plot", PlotParams)
    if not photos.is_dir():
        raise UserError(f"{photos} does not exist. Run this from the project's folder.")
    results = read_results(
        manifest=validate / "manifest.csv",
        history=train / "history.csv",
        training=train / "summary.json",
        predictions=evaluate / "predictions.csv",
        metrics=evaluate / "metrics.json",
        heat_maps=evaluate / "heatmaps.npy",
    )
    files = draw(results, settings)
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)


if __name__ == "__main__":
    start(main)
