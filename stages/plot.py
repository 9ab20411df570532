"""Draw what a run found: figures for a talk, and one page to read from top to bottom.

Reads what the other nodes wrote, and the photos that are shown.
Writes `loss.png`, `accuracy.png`, `confusion.png`, `brands.png`, `reliability.png`, `map.png`,
`photos.png` and `report.html`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.origin import origin_of
from carbrand.node.params import knob, read_section
from carbrand.node.start import start
from carbrand.report import figures
from carbrand.report.map_figure import map_of_photos
from carbrand.report.page import Limits, render_report
from carbrand.report.reliability_figure import reliability
from carbrand.report.results import Results
from carbrand.report.run_files import RunFiles, read_results

PACKAGES = ("carbrand", "jinja2", "matplotlib", "numpy", "pillow", "scipy")


@dataclass(frozen=True)
class PlotParams:
    """How much is shown, and how large; see params.yaml."""

    dpi: int = knob(low=50, high=400)
    photos: int = knob(low=1, high=60)
    mistakes: int = knob(low=0, high=200)
    pairs: int = knob(low=0, high=200)
    suspects: int = knob(low=0, high=200)
    thumbnail_px: int = knob(low=64, high=640)


def draw(results: Results, params: PlotParams, datasets: str) -> dict[str, bytes]:
    """Every file by its name; the same bytes for the same results."""
    confusion = figures.confusion(results, params.dpi)
    limits = Limits(
        photos=params.photos,
        mistakes=params.mistakes,
        pairs=params.pairs,
        suspects=params.suspects,
        thumbnail_px=params.thumbnail_px,
    )
    own = origin_of(params, PACKAGES)
    return {
        "loss.png": figures.loss_curves(results, params.dpi),
        "accuracy.png": figures.accuracy_curves(results, params.dpi),
        "confusion.png": confusion,
        "brands.png": figures.brands(results, params.dpi),
        "reliability.png": reliability(results, params.dpi),
        "map.png": map_of_photos(results, params.dpi),
        "photos.png": figures.photo_page(results, params.dpi, params.photos),
        "report.html": render_report(
            results, limits, confusion_png=confusion, datasets=datasets, own=own
        ),
    }


def files_of_run(validate: Path, features: Path, train: Path, evaluate: Path) -> RunFiles:
    """What is read of each node's folder."""
    nodes = {"validate": validate, "features": features, "train": train, "evaluate": evaluate}
    return RunFiles(
        manifest=validate / "manifest.csv",
        folders=validate / "folders.csv",
        history=train / "history.csv",
        training=train / "summary.json",
        predictions=evaluate / "predictions.csv",
        metrics=evaluate / "metrics.json",
        heat_maps=evaluate / "heatmaps.npy",
        train_copies=features / "copies.csv",
        test_copies=evaluate / "copies.csv",
        suspects=train / "suspects.csv",
        map=evaluate / "map.csv",
        origins={node: folder / "origin.json" for node, folder in nodes.items()},
    )


def main(
    params: Path,
    validate: Path,
    features: Path,
    train: Path,
    evaluate: Path,
    photos: Path,
    out: Path,
) -> None:
    """Read the run, draw everything, then write: a failure leaves what was there before."""
    settings = read_section(params, "plot", PlotParams)
    if not photos.is_dir():
        raise UserError(f"{photos} does not exist. Run this from the project's folder.")
    results = read_results(files_of_run(validate, features, train, evaluate))
    files = draw(results, settings, photos.as_posix())
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)


if __name__ == "__main__":
    start(main)
