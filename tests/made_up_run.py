"""A whole run's files, made up: what the nodes before `plot` write, with tiny photos to show."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from carbrand.evaluation import PredictedPhoto, evaluate_photos
from carbrand.manifest import Row, write_manifest
from carbrand.metrics_file import write_metrics
from carbrand.predictions_file import write_predictions
from carbrand.results import Results, read_results

PARAMS = {"dpi": 60, "photos": 4, "mistakes": 5, "pairs": 3, "thumbnail_px": 96}


@dataclass(frozen=True)
class MadeUpRun:
    """What shall have happened; `write` makes the files of it in a project's folder.

    Of each brand there are `right` + `wrong` leak-free test photos and `leaked` ones, which the
    model names right, each a copy of a training photo.
    """

    brands: tuple[str, ...] = ("asta", "bolt", "cirro")
    right: int = 2
    wrong: int = 1
    leaked: int = 1
    epochs: int = 6
    best_epoch: int = 4
    other_issues: tuple[Row, ...] = ()
    params: dict[str, int] = field(default_factory=lambda: dict(PARAMS))

    def write(self, root: Path) -> Path:
        """The files below `root`, where a stage would run; returns `root`."""
        predicted, rows = self._photos()
        for row in rows:
            draw_photo(root / row.path, seed=len(row.brand))
        validate, train, evaluate = (
            root / "artifacts" / node for node in ("validate", "train", "evaluate")
        )
        for folder in (validate, train, evaluate):
            folder.mkdir(parents=True)
        brands = sorted(self.brands)
        write_manifest(validate / "manifest.csv", [*rows, *self.other_issues])
        write_predictions(evaluate / "predictions.csv", predicted, brands)
        write_metrics(evaluate / "metrics.json", evaluate_photos(predicted, brands, 10))
        heat = np.linspace(0, 1, 7 * 7, dtype=np.float32).reshape(7, 7)
        np.save(evaluate / "heatmaps.npy", np.stack([heat] * len(predicted)))
        self._write_training(train)
        sections = {"plot": self.params}
        (root / "params.yaml").write_text(json.dumps(sections), encoding="utf-8")  # JSON is YAML
        return root

    def _photos(self) -> tuple[list[PredictedPhoto], list[Row]]:
        """Test photos with what is predicted of them, and every photo as `validate` found it."""
        brands = sorted(self.brands)
        predicted, rows = [], []
        for label, brand in enumerate(brands):
            other = brands[(label + 1) % len(brands)]
            names = [*[brand] * self.right, *[other] * self.wrong, *[brand] * self.leaked]
            for number, name in enumerate(names):
                row = Row(f"Datasets/test/{brand}/{number}.png", "test", brand)
                leaked = number >= self.right + self.wrong
                if leaked:
                    source = replace(
                        row, path=f"Datasets/train/{brand}/{number}.png", split="train"
                    )
                    issues = ("leaked", "made_up_issue")
                    row = replace(row, status="excluded", issues=issues, duplicate_of=source.path)
                    rows.append(source)
                rows.append(row)
                probabilities = self._probabilities(brands.index(name), 0.6 + 0.03 * number)
                predicted.append(
                    PredictedPhoto(row.path, brand, name, max(probabilities), leaked, probabilities)
                )
        return sorted(predicted, key=lambda photo: photo.path), rows

    def _probabilities(self, label: int, confidence: float) -> tuple[float, ...]:
        rest = (1 - confidence) / (len(self.brands) - 1)
        return tuple(
            round(confidence if index == label else rest, 6) for index in range(len(self.brands))
        )

    def _write_training(self, folder: Path) -> None:
        columns = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
        epochs = range(1, self.epochs + 1)
        write_csv(
            folder / "history.csv",
            columns,
            [(e, 1 / e, 1 - 0.5 / e, 1.2 / e + 0.01 * e, 1 - 0.6 / e) for e in epochs],
        )
        summary = {"epochs": self.epochs, "best_epoch": self.best_epoch, "photos": 64}
        write_metrics(folder / "summary.json", summary)


def read_run(root: Path) -> Results:
    """What a made-up run wrote, as the stage reads it."""
    artifacts = root / "artifacts"
    return read_results(
        manifest=artifacts / "validate/manifest.csv",
        history=artifacts / "train/history.csv",
        training=artifacts / "train/summary.json",
        predictions=artifacts / "evaluate/predictions.csv",
        metrics=artifacts / "evaluate/metrics.json",
        heat_maps=artifacts / "evaluate/heatmaps.npy",
    )


def plot_arguments(root: Path) -> list[Path]:
    """The arguments of the stage's `main`, in order."""
    nodes = [root / "artifacts" / node for node in ("validate", "train", "evaluate")]
    return [root / "params.yaml", *nodes, root / "Datasets", root / "artifacts/plot"]


def draw_photo(path: Path, seed: int, size: tuple[int, int] = (120, 80)) -> None:
    """A small picture of something."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = Image.new("RGB", size, (40 + 37 * seed % 200, 90, 160))
    ImageDraw.Draw(photo).ellipse((30, 20, 90, 60), fill="white")
    photo.save(path)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file as the nodes write it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)
