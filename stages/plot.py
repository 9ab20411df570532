"""Draw the results of a run: figures for slides, and the report.

Reads what the other nodes wrote, and the photos that are shown.
Writes `loss.png`, `accuracy.png`, `confusion.png`, `brands.png`, `reliability.png`, `map.png`,
`photos.png` and `report.html`.
"""

from __future__ import annotations

from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.origin import origin_of
from carbrand.node.params import read_section
from carbrand.node.start import start
from carbrand.report.drawing import charts, figures
from carbrand.report.drawing.map_figure import embedding_map
from carbrand.report.drawing.photo_figure import photo_page
from carbrand.report.page import render_report
from carbrand.report.results import Results
from carbrand.report.run_files import RunFiles, read_results
from carbrand.report.sections.section import Charts, PlotParams, ReportInput

PACKAGES = ("carbrand", "jinja2", "matplotlib", "numpy", "pillow", "scipy")


def draw(results: Results, params: PlotParams, datasets: str) -> dict[str, bytes]:
    """Every file by its name; the same bytes for the same results."""
    dpi = params.dpi
    photos = photo_page(results, dpi, params.photos)  # first, for it alone may fail
    loss = charts.loss_curves(results, dpi)
    accuracy = charts.accuracy_curves(results, dpi)
    reliability = charts.reliability(results, dpi)
    confusion_matrix = figures.confusion_matrix(results, dpi)
    report = ReportInput(
        run=results,
        limits=params,
        charts=Charts(loss.svg, accuracy.svg, reliability.svg, confusion_matrix),
        datasets=datasets,
        plot=origin_of(params, PACKAGES),
    )
    return {
        "loss.png": loss.png,
        "accuracy.png": accuracy.png,
        "confusion.png": confusion_matrix,
        "brands.png": figures.brand_metrics(results, dpi),
        "reliability.png": reliability.png,
        "map.png": embedding_map(results, dpi),
        "photos.png": photos,
        "report.html": render_report(report),
    }


def files_of_run(
    validate: Path, features: Path, train: Path, finetune: Path, evaluate: Path
) -> RunFiles:
    """The files read from each node's folder."""
    nodes = {
        "validate": validate,
        "features": features,
        "train": train,
        "finetune": finetune,
        "evaluate": evaluate,
    }
    return RunFiles(
        manifest=validate / "manifest.csv",
        folders=validate / "folders.csv",
        history=train / "history.csv",
        training=train / "summary.json",
        tuning_history=finetune / "history.csv",
        tuning=finetune / "summary.json",
        predictions=evaluate / "predictions.csv",
        metrics=evaluate / "metrics.json",
        heat_maps=evaluate / "heatmaps.npy",
        train_copies=features / "copies.csv",
        test_copies=evaluate / "copies.csv",
        suspects=train / "suspects.csv",
        test_suspects=evaluate / "suspects.csv",
        map=evaluate / "map.csv",
        origins={node: folder / "origin.json" for node, folder in nodes.items()},
    )


def main(
    params_file: Path,
    validate: Path,
    features: Path,
    train: Path,
    finetune: Path,
    evaluate: Path,
    photos: Path,
    out: Path,
) -> None:
    """Read the run, draw everything, then write, so that a failure writes nothing."""
    params = read_section(params_file, "plot", PlotParams)
    if not photos.is_dir():
        raise UserError(f"{photos} does not exist. Run this from the project's folder.")
    results = read_results(files_of_run(validate, features, train, finetune, evaluate))
    files = draw(results, params, photos.as_posix())
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)


if __name__ == "__main__":
    start(main)
