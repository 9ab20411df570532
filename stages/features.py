"""Look at every training photo once with a frozen backbone, so that training costs seconds.

Reads the manifest and the training photos it keeps.
Writes a folder: vectors of K views per photo, whose they are, which photos the vectors show to be
copies of one another, and the backbone itself. Vectors are also kept per photo in a folder that is
safe to delete: a photo that was looked at before is not looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from carbrand.alignment import THUMBNAIL_PX, grey_thumbnail
from carbrand.backbones import BACKBONES, MIN_SIZE_PX, build_backbone
from carbrand.clusters import Clusters
from carbrand.copies_file import Copy, write_copies
from carbrand.extraction import extract
from carbrand.feature_store import Recipe, StoredPhoto, backbone_file, write_features
from carbrand.manifest import Row, photos_to_learn_from, read_manifest
from carbrand.origin import write_origin
from carbrand.params import knob, read_section
from carbrand.photo import MAX_SIZE_PX, RESIZE_POLICIES, open_photo
from carbrand.pooling import POOLINGS
from carbrand.stage import start
from carbrand.vector_cache import VectorCache, describe_network
from carbrand.vector_copies import Pair, PhotoSet, Space, find_copies
from carbrand.views import Augmentation, make_view

PACKAGES = ("keras", "numpy", "pillow", "tensorflow")


@dataclass(frozen=True)
class FeaturesParams:
    """Which network looks at the photos, and at which views of them; see params.yaml."""

    backbone: str = knob(choices=tuple(BACKBONES))
    weights: str = knob()
    size_px: int = knob(low=MIN_SIZE_PX, high=MAX_SIZE_PX)
    resize: str = knob(choices=RESIZE_POLICIES)
    pooling: str = knob(choices=tuple(POOLINGS))
    views: int = knob(low=1, high=64)
    shear: float = knob(low=0.0, high=0.5)
    zoom: float = knob(low=0.0, high=0.5)
    crop: float = knob(low=0.2, high=1.0)
    flip: bool = knob()
    seed: int = knob(low=0)


def make_views(row: Row, params: FeaturesParams) -> np.ndarray:
    """The views of one photo, (views, size_px, size_px, 3) uint8; view 0 is the photo as it is."""
    return _views_of(open_photo(row.path), row, params)


def _views_of(photo: Image.Image, row: Row, params: FeaturesParams) -> np.ndarray:
    augmentation = Augmentation(params.shear, params.zoom, params.crop, params.flip)
    return np.stack(
        [
            make_view(
                photo,
                number,
                row.pixel_sha256,
                params.size_px,
                params.resize,  # type: ignore[arg-type]
                augmentation,
                params.seed,
            )
            for number in range(params.views)
        ]
    )


def look_at(
    rows: Sequence[Row], backbone: Any, params: FeaturesParams, kept: VectorCache
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of the photos, (n, views, d) float32, and their grey thumbnails, (n, s, s).

    Only photos of which nothing is kept are looked at.
    """
    known = [kept.find(row.pixel_sha256) for row in rows]
    new = [number for number, entry in enumerate(known) if entry is None]
    thumbnails = np.empty((len(new), THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)

    def views_of(place: int) -> np.ndarray:
        row = rows[new[place]]
        photo = open_photo(row.path)
        thumbnails[place] = grey_thumbnail(photo)
        return _views_of(photo, row, params)

    if new:
        vectors = extract(range(len(new)), views_of, params.views, backbone, params.pooling)
    else:
        vectors = np.empty((0, params.views, 0), np.float32)
    for number, photo_vectors, thumbnail in zip(new, vectors, thumbnails, strict=True):
        known[number] = (photo_vectors, thumbnail)
        kept.keep(rows[number].pixel_sha256, photo_vectors, thumbnail)
    found = [entry for entry in known if entry is not None]
    return np.stack([entry[0] for entry in found]), np.stack([entry[1] for entry in found])


def find_copies_among(rows: Sequence[Row], photos: PhotoSet, pooling: str) -> list[Pair]:
    """Pairs of photos, by row, that show the same although no hash told so."""
    pairs = find_copies(photos, None, Space.of(photos.vectors, POOLINGS[pooling]))
    known = [row.cluster or row.path for row in rows]
    return [pair for pair in pairs if known[pair.photo] != known[pair.original]]


def group(rows: Sequence[Row], pairs: Sequence[Pair]) -> list[str]:
    """A name for each photo that all copies of it have too: the path of the first of them."""
    clusters = Clusters(len(rows))
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        known = first.setdefault(row.cluster or row.path, number)
        clusters.join(np.array([number]), np.array([known]))
    for pair in pairs:
        clusters.join(np.array([pair.photo]), np.array([pair.original]))
    return [rows[label].path for label in clusters.labels()]


def describe(rows: Sequence[Row], pair: Pair) -> Copy:
    """A pair by its paths, with what it means."""
    photo, original = rows[pair.photo], rows[pair.original]
    issue = "duplicate" if photo.brand == original.brand else "label_conflict"
    return Copy(photo.path, original.path, issue, pair.similarity, pair.mirrored)


def main(params_file: Path, manifest: Path, cache: Path, out: Path) -> None:
    """Read the photos to learn from, write what the backbone sees in them.

    `cache` is a folder of vectors from earlier runs, which may be empty.
    """
    params = read_section(params_file, "features", FeaturesParams)
    rows = photos_to_learn_from(read_manifest(manifest))
    backbone = build_backbone(params.backbone, params.size_px, params.weights)
    recipe_of_vectors = asdict(params) | {"network": describe_network(backbone)}
    with VectorCache(cache / "vectors.sqlite", recipe_of_vectors) as kept:
        vectors, thumbnails = look_at(rows, backbone, params, kept)
    aspects = [row.width / row.height for row in rows]
    photos = PhotoSet(vectors[:, 0], thumbnails, np.array(aspects))
    pairs = find_copies_among(rows, photos, params.pooling)
    stored = [
        StoredPhoto(row.path, row.brand, name, aspect)
        for row, name, aspect in zip(rows, group(rows, pairs), aspects, strict=True)
    ]
    recipe = Recipe(pooling=params.pooling, resize=params.resize, size_px=params.size_px)
    out.mkdir(parents=True, exist_ok=True)
    write_features(out, vectors, thumbnails, stored, recipe)
    write_copies(out / "copies.csv", [describe(rows, pair) for pair in pairs])
    write_origin(out / "origin.json", params, PACKAGES)
    backbone.save(backbone_file(out))


if __name__ == "__main__":
    start(main)
