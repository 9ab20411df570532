"""A whole run's files, made up: what the nodes before `plot` write, with tiny photos to show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from carbrand.node.files.metrics_file import write_metrics
from carbrand.node.files.table import write_table
from carbrand.photos.manifest import Row, write_manifest
from carbrand.report.results import Results
from carbrand.report.run_files import read_results
from carbrand.scores.evaluation import PredictedPhoto, evaluate_photos
from carbrand.scores.files.history import Epoch, write_history
from carbrand.scores.files.predictions_file import write_predictions
from stages.plot import files_of_run

PARAMS = {"dpi": 60, "photos": 4, "mistakes": 5, "pairs": 3, "suspects": 3, "thumbnail_px": 96}
BINS = 10
TEMPERATURE = 1.25
HANDED_ON: dict[str, Any] = {"photos": 64, "epochs": 0, "ships_tuned": 0}
# What fine-tuning says of itself where it gained something, and its curves.
TUNED: dict[str, Any] = {
    **{"photos": 64, "epochs": 4, "ships_tuned": 1, "asked": 60},
    **{"loss": 0.2, "accuracy": 0.99, "val_loss": 0.1875, "val_accuracy": 0.95},
    "frozen": {"accuracy": 0.8667, "log_loss": 0.4321},
    "tuned": {"accuracy": 0.95, "log_loss": 0.1875, "ece": 0.03},
    **{"temperature": 0.8765, "size_px": 224},
}
TUNING_HISTORY = tuple(
    Epoch(n, 0.8 / n, 1 - 0.04 / n, 0.75 / n, 0.95 - 0.1 * (4 - n) / n) for n in range(1, 5)
)
MADE_BY = {
    "validate": {"label_conflict": "error", "leaked": "exclude", "duplicate": "exclude"},
    "features": {"backbone": "made_up_net", "flip": True},
    "train": {"epochs": 6},
    "finetune": {"epochs": 0},
    "evaluate": {"ece_bins": BINS},
}


@dataclass(frozen=True)
class MadeUpRun:
    """What shall have happened; `write` makes the files of it in a project's folder.

    Of each brand there are `right` + `wrong` leak-free test photos and `leaked` ones, which the
    model names right, each a copy of a training photo. Of these the last is found by vectors only.
    All training photos are suspects.
    """

    brands: tuple[str, ...] = ("asta", "bolt", "cirro")
    right: int = 2
    wrong: int = 1
    leaked: int = 1
    epochs: int = 6
    tuning: Mapping[str, Any] = field(default_factory=lambda: dict(HANDED_ON))
    tuning_history: tuple[Epoch, ...] = ()
    other_issues: tuple[Row, ...] = ()
    notes: tuple[tuple[str, str, str, str], ...] = ()  # of folders: code, severity, folder, message
    params: dict[str, int] = field(default_factory=lambda: dict(PARAMS))

    def write(self, root: Path) -> Path:
        """The files below `root`, where a stage would run; returns `root`."""
        predicted, rows = self._photos()
        for row in rows:
            draw_photo(root / row.path, seed=len(row.brand))
        artifacts = root / "artifacts"
        for node, parameters in MADE_BY.items():
            (artifacts / node).mkdir(parents=True)
            origin = {"parameters": parameters, "versions": {"made-up-net": "1.2.3"}}
            (artifacts / node / "origin.json").write_text(json.dumps(origin), encoding="utf-8")
        brands = sorted(self.brands)
        rows += self.other_issues
        write_manifest(artifacts / "validate/manifest.csv", rows)
        write_table(
            artifacts / "validate/folders.csv",
            ("code", "severity", "folder", "message"),
            self.notes,
        )
        write_predictions(artifacts / "evaluate/predictions.csv", predicted, brands)
        write_metrics(
            artifacts / "evaluate/metrics.json",
            evaluate_photos(predicted, brands, BINS, TEMPERATURE),
        )
        heat = np.linspace(0, 1, 7 * 7, dtype=np.float32).reshape(7, 7)
        np.save(artifacts / "evaluate/heatmaps.npy", np.stack([heat] * len(predicted)))
        self._write_training(artifacts / "train")
        self._write_tuning(artifacts / "finetune")
        self._write_hints(artifacts, rows)
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
                    rows.append(source)
                    if number < len(names) - 1:
                        issues = ("leaked", "made_up_issue")
                        row = replace(row, status="excluded", issues=issues, match="pixels")
                        row = replace(row, duplicate_of=source.path, cluster=source.path)
                rows.append(row)
                probabilities = self._probabilities(
                    brands.index(name), min(0.6 + 0.03 * number, 0.99)
                )
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
        write_table(
            folder / "history.csv",
            columns,
            [(e, 1 / e, 1 - 0.5 / e, 1.2 / e + 0.01 * e, 1 - 0.6 / e) for e in epochs],
        )
        summary = {"epochs": self.epochs, "photos": 64, "temperature": TEMPERATURE}
        held_out = {"val_accuracy": 1 - 0.6 / self.epochs, "val_balanced_accuracy": 0.75}
        write_metrics(folder / "summary.json", summary | held_out)

    def _write_tuning(self, folder: Path) -> None:
        """What fine-tuning says of itself, by default that it is off."""
        write_history(folder / "history.csv", self.tuning_history)
        write_metrics(folder / "summary.json", self.tuning)

    def _write_hints(self, artifacts: Path, rows: Sequence[Row]) -> None:
        """What only the network shows: copies, suspects, a map with a line for each brand."""
        copies = ("path", "copy_of", "issue", "similarity", "mirrored")
        last = f"/{self.right + self.wrong + self.leaked - 1}.png"
        found = [row.path for row in rows if self.leaked and row.split == "test"]
        write_table(artifacts / "features/copies.csv", copies, ())
        write_table(
            artifacts / "evaluate/copies.csv",
            copies,
            [
                (path, path.replace("/test/", "/train/"), "leaked", 0.975, "true")
                for path in found
                if path.endswith(last)
            ],
        )
        brands = sorted(self.brands)
        suspects = [
            (row.path, row.brand, brands[brands.index(row.brand) - 1], 0.9, 0.8, str(not n).lower())
            for n, row in enumerate(
                row for row in rows if row.split == "train" and row.brand in brands
            )
        ]
        columns = ("path", "brand", "suggested", "confidence", "suspicion", "issue")
        write_table(artifacts / "train/suspects.csv", columns, suspects)
        write_table(artifacts / "evaluate/suspects.csv", columns, ())
        places = [
            (row.path, row.split, row.brand, n / 7, brands.index(row.brand))
            for n, row in enumerate(rows)
            if row.brand in brands
        ]
        write_table(artifacts / "evaluate/map.csv", ("path", "split", "brand", "x", "y"), places)


def read_run(root: Path) -> Results:
    """What a made-up run wrote, as the stage reads it."""
    return read_results(files_of_run(*(root / "artifacts" / node for node in MADE_BY)))


def plot_arguments(root: Path) -> list[Path]:
    """The arguments of the stage's `main`, in order."""
    nodes = [root / "artifacts" / node for node in MADE_BY]
    return [root / "params.yaml", *nodes, root / "Datasets", root / "artifacts/plot"]


def draw_photo(path: Path, seed: int, size: tuple[int, int] = (120, 80)) -> None:
    """A small picture of something."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = Image.new("RGB", size, (40 + 37 * seed % 200, 90, 160))
    ImageDraw.Draw(photo).ellipse((30, 20, 90, 60), fill="white")
    photo.save(path)
