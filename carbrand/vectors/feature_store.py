"""The output of `features`: vectors, their photos, and how they were computed."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

from carbrand.node.files.table import read_table, write_table
from carbrand.vectors.array_file import open_rows, select_rows


@dataclass(frozen=True)
class Recipe:
    """The preprocessing that prediction must repeat."""

    resize: str
    size_px: int
    # Widths of the kinds of features (averages, maxima, …) that are concatenated in a vector.
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Features:
    """Vectors of the training photos, and a path, brand and group for each row.

    vectors: (photos, views, d) float32, a memory map; view 0 is the unaugmented photo.
    groups: the same for copies of one another. series: the same for photos of one scene, copies
    among them. network: the Keras file that computed the vectors.
    """

    vectors: np.ndarray
    paths: list[str]
    photo_brands: list[str]
    groups: list[str]
    series: list[str]
    recipe: Recipe
    network: Path

    @property
    def brands(self) -> list[str]:
        """The names of the brands, sorted: the order of labels and of the model's outputs."""
        return sorted(set(self.photo_brands))

    @property
    def labels(self) -> np.ndarray:
        """(photos,) int: the index of each photo's brand in `brands`."""
        index = {brand: label for label, brand in enumerate(self.brands)}
        return np.array([index[brand] for brand in self.photo_brands])

    def without(self, paths: Collection[str]) -> Features:
        """The features without the photos at `paths`."""
        kept = [row for row, path in enumerate(self.paths) if path not in paths]
        return replace(
            self,
            vectors=select_rows(self.vectors, kept),
            paths=[self.paths[row] for row in kept],
            photo_brands=[self.photo_brands[row] for row in kept],
            groups=[self.groups[row] for row in kept],
            series=[self.series[row] for row in kept],
        )


@dataclass(frozen=True)
class StoredPhoto:
    """The photo of a row of vectors."""

    path: str
    brand: str
    group: str
    series: str


def network_file(folder: Path) -> Path:
    """The path of the network in a folder of features."""
    return folder / "network.h5"


def vectors_file(folder: Path) -> Path:
    """The path of the vectors, (photos, views, d) float32, in a folder of features."""
    return folder / "vectors.npy"


def file_of_test_vectors(folder: Path) -> Path:
    """The path of the vectors of test photos, (photos, 1, d) float32, in a folder of features."""
    return folder / "test_vectors.npy"


def write_test_photos(folder: Path, paths: Sequence[str], series: Sequence[str]) -> None:
    """Write which photo is in each row of the vectors of test photos, and its series.

    series: of training photos, by the path of the first; empty where it belongs to none.
    """
    rows = list(zip(paths, series, strict=True))
    write_table(folder / "test_photos.csv", ("path", "series"), rows)


def read_test_series(folder: Path, unlearned: Collection[str]) -> dict[str, str]:
    """Test photo → a training photo of its series, where there is one. unlearned: paths of others.

    unlearned: paths of training photos that the model was not trained on.
    """
    photos = read_table(folder / "photos.csv")[1]
    learned = {photo["series"]: photo["path"] for photo in photos if photo["path"] not in unlearned}
    rows = read_table(folder / "test_photos.csv")[1]
    return {row["path"]: learned[row["series"]] for row in rows if row["series"] in learned}


def read_test_vectors(folder: Path, paths: Sequence[str]) -> np.ndarray:
    """The vectors of the test photos at `paths`, (photos, d) float32, a memory map."""
    stored = read_table(folder / "test_photos.csv")[1]
    rows = {photo["path"]: row for row, photo in enumerate(stored)}
    vectors = open_rows(file_of_test_vectors(folder))
    return select_rows(vectors, [rows[path] for path in paths])[:, 0]


def write_photos(folder: Path, photos: Sequence[StoredPhoto], recipe: Recipe) -> None:
    """Write the photos of the rows, and the recipe."""
    header = [field.name for field in fields(StoredPhoto)]
    write_table(folder / "photos.csv", header, [astuple(photo) for photo in photos])
    (folder / "recipe.json").write_text(
        json.dumps(asdict(recipe), indent=2) + "\n", "utf-8", newline="\n"
    )


def read_features(folder: Path) -> Features:
    """Read a folder of features."""
    recipe = json.loads((folder / "recipe.json").read_text("utf-8"))
    photos = [StoredPhoto(**row) for row in read_table(folder / "photos.csv")[1]]
    return Features(
        vectors=open_rows(vectors_file(folder)),
        paths=[photo.path for photo in photos],
        photo_brands=[photo.brand for photo in photos],
        groups=[photo.group for photo in photos],
        series=[photo.series for photo in photos],
        recipe=Recipe(**recipe | {"widths": tuple(recipe["widths"])}),
        network=network_file(folder),
    )
