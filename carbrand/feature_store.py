"""What `features` hands to `train`: vectors, the photos they belong to, and how they were made."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

from carbrand.table import read_table, write_table
from carbrand.vector_copies import PhotoSet


@dataclass(frozen=True)
class Recipe:
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
    recipe: Recipe
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

    def without(self, paths: Collection[str]) -> Features:
        """The same without some photos."""
        kept = [row for row, path in enumerate(self.paths) if path not in paths]
        return replace(
            self,
            vectors=self.vectors[kept],
            paths=[self.paths[row] for row in kept],
            photo_brands=[self.photo_brands[row] for row in kept],
            groups=[self.groups[row] for row in kept],
        )


@dataclass(frozen=True)
class StoredPhoto:
    """Whose vectors a row holds; `aspect`: its width / height."""

    path: str
    brand: str
    group: str
    aspect: float


def backbone_file(folder: Path) -> Path:
    """Where the network lies in a folder of features."""
    return folder / "backbone.h5"


def write_features(
    folder: Path,
    vectors: np.ndarray,
    thumbnails: np.ndarray,
    photos: Sequence[StoredPhoto],
    recipe: Recipe,
) -> None:
    """Write all but the network; vectors and thumbnails as in Features and PhotoSet, by row."""
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "thumbnails.npy", thumbnails)
    header = [field.name for field in fields(StoredPhoto)]
    write_table(folder / "photos.csv", header, [astuple(photo) for photo in photos])
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n", "utf-8")


def read_features(folder: Path) -> Features:
    """What training needs of what `write_features` wrote."""
    photos = _read_photos(folder)
    return Features(
        vectors=np.load(folder / "vectors.npy", allow_pickle=False),
        paths=[photo.path for photo in photos],
        photo_brands=[photo.brand for photo in photos],
        groups=[photo.group for photo in photos],
        recipe=read_recipe(folder),
        backbone=backbone_file(folder),
    )


def read_originals(
    folder: Path, without: Collection[str] = ()
) -> tuple[list[StoredPhoto], PhotoSet]:
    """The training photos as they are, to look for copies of them; those of some paths left out."""
    stored = _read_photos(folder)
    kept = [row for row, photo in enumerate(stored) if photo.path not in without]
    photos = [stored[row] for row in kept]
    # Mapped: of all views, only the first is wanted.
    vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
    thumbnails = np.load(folder / "thumbnails.npy", mmap_mode="r", allow_pickle=False)
    aspects = np.array([photo.aspect for photo in photos])
    return photos, PhotoSet(vectors[kept, 0], thumbnails[kept], aspects)


def read_recipe(folder: Path) -> Recipe:
    """How the vectors were made."""
    return Recipe(**json.loads((folder / "recipe.json").read_text("utf-8")))


def _read_photos(folder: Path) -> list[StoredPhoto]:
    return [
        StoredPhoto(row["path"], row["brand"], row["group"], float(row["aspect"]))
        for row in read_table(folder / "photos.csv")[1]
    ]
