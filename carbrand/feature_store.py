"""What `features` hands to `train`: vectors, the photos they belong to, and how they were made."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Origin:
    """Everything that prediction must repeat to get the same vectors."""

    pooling: str
    resize: str
    size_px: int


@dataclass(frozen=True)
class Features:
    """vectors: (photos, views, d) float32, view 0 being the photo as it is; the rest by row.

    `backbone` is the path of the network that made them, a Keras file.
    """

    vectors: np.ndarray
    paths: list[str]
    photo_brands: list[str]
    origin: Origin
    backbone: Path

    @property
    def brands(self) -> list[str]:
        """The names of the brands, sorted: the order of labels and of the model's outputs."""
        return sorted(set(self.photo_brands))

    @property
    def labels(self) -> np.ndarray:
        """(photos,) int: each photo's place in `brands`."""
        index = {brand: label for label, brand in enumerate(self.brands)}
        return np.array([index[brand] for brand in self.photo_brands])


def backbone_file(folder: Path) -> Path:
    """Where the network lies in a folder of features."""
    return folder / "backbone.h5"


def write_features(
    folder: Path, vectors: np.ndarray, photos: Sequence[tuple[str, str]], origin: Origin
) -> None:
    """Write all but the network. `photos` are (path, brand), row by row."""
    np.save(folder / "vectors.npy", vectors)
    with (folder / "photos.csv").open(
        "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "brand"), *photos])
    (folder / "origin.json").write_text(json.dumps(asdict(origin), indent=2) + "\n", "utf-8")


def read_features(folder: Path) -> Features:
    """What `write_features` wrote."""
    with (folder / "photos.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        photos = list(csv.DictReader(file))
    return Features(
        vectors=np.load(folder / "vectors.npy", allow_pickle=False),
        paths=[photo["path"] for photo in photos],
        photo_brands=[photo["brand"] for photo in photos],
        origin=Origin(**json.loads((folder / "origin.json").read_text("utf-8"))),
        backbone=backbone_file(folder),
    )
