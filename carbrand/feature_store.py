"""What `features` hands to `train`: vectors, the photos they belong to, and how they were made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from carbrand.table import read_table, write_table


@dataclass(frozen=True)
class Origin:
    """Everything that prediction must repeat to get the same vectors."""

    pooling: str
    resize: str
    size_px: int


@dataclass(frozen=True)
class Features:
    """vectors: (photos, views, d) float32, view 0 being the photo as it is; the rest by row.

    Photos of one group are copies of one another. `backbone` is the path of the network that made
    the vectors, a Keras file.
    """

    vectors: np.ndarray
    paths: list[str]
    photo_brands: list[str]
    groups: list[str]
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
    folder: Path, vectors: np.ndarray, photos: Sequence[tuple[str, str, str]], origin: Origin
) -> None:
    """Write all but the network. `photos` are (path, brand, group), row by row."""
    np.save(folder / "vectors.npy", vectors)
    write_table(folder / "photos.csv", ("path", "brand", "group"), photos)
    (folder / "origin.json").write_text(json.dumps(asdict(origin), indent=2) + "\n", "utf-8")


def read_features(folder: Path) -> Features:
    """What `write_features` wrote."""
    photos = read_table(folder / "photos.csv")[1]
    return Features(
        vectors=np.load(folder / "vectors.npy", allow_pickle=False),
        paths=[photo["path"] for photo in photos],
        photo_brands=[photo["brand"] for photo in photos],
        groups=[photo["group"] for photo in photos],
        origin=Origin(**json.loads((folder / "origin.json").read_text("utf-8"))),
        backbone=backbone_file(folder),
    )
