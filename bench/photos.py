"""The photos of a folder as rows of a manifest, and their vectors, without `validate`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from carbrand.checks.inspection import PhotoLimits, inspect_file
from carbrand.network.inference.engines import Engine, choose
from carbrand.network.keras_import import import_keras
from carbrand.photos.folders.files import find_files
from carbrand.photos.manifest import Row
from carbrand.photos.photo_limits import MAX_PIXELS
from carbrand.vectors.feature_store import Recipe
from carbrand.vectors.series import find_series
from carbrand.vectors.standardizer import Standardizer
from stages.features import FeaturesParams, extract_photos, open_network, save_network


def read_rows(folder: Path) -> list[Row]:
    """A row for each photo in FOLDER/<brand>/, sorted by path."""
    limits = PhotoLimits((folder,), MAX_PIXELS, min_side_px=1, max_aspect=100.0)
    files = find_files(folder, "train")
    return [inspect_file(file, limits).row for file in files if file.is_photo]


def make_network(params: FeaturesParams) -> tuple[Engine, Recipe]:
    """What `features` looks at photos with, and how its vectors are made up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.h5"
        if choose(params.engine) == "keras":
            import_keras()  # before it is imported in another way, to build the network
        recipe = save_network(path, params)
        return open_network(path, params), recipe


def read_vectors(rows: Sequence[Row], params: FeaturesParams) -> tuple[np.ndarray, Recipe]:
    """The vectors of all views of the photos, (n, views, d) float32, and how they are made up."""
    network, recipe = make_network(params)
    return np.stack([vectors for vectors, _ in extract_photos(rows, network, params)]), recipe


def name_series(
    rows: Sequence[Row], vectors: np.ndarray, recipe: Recipe, params: FeaturesParams
) -> list[str]:
    """The series of each photo, from vectors (n, views, d); the same pixels are copies."""
    space = Standardizer.fit(vectors[:, :1], recipe.widths)
    copies = [row.pixel_sha256 for row in rows]
    return find_series(rows, vectors[:, 0], space, copies, params.series)
