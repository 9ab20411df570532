"""Extract the vectors of every photo once with a frozen backbone: training then costs seconds.

Reads the manifest and the photos it keeps, never what brand a test photo has.
Writes a folder: vectors of K views per training photo and of one per test photo, whose they are,
the backbone itself, and which photos the vectors show to be copies of one another: `copies.csv` of
training photos, `test_copies.csv` of test photos. The vectors of each photo are also cached, in a
folder that is safe to delete.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from carbrand.network.backbones import MIN_SIZE_PX, build_backbone, levels_of
from carbrand.network.extraction import Extracted, extract, load_or_extract
from carbrand.network.inference.engines import ENGINES, Engine, choose, open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import POOLINGS, add_pooling
from carbrand.network.vector_cache import VectorCache
from carbrand.network.views import Augmentation, make_view
from carbrand.network.weights.network_file import NotANetwork, read_network
from carbrand.node.code import hash_rooms
from carbrand.node.errors import UserError
from carbrand.node.files.atomic import check_disk_space
from carbrand.node.origin import write_origin
from carbrand.node.params import knob, read_section
from carbrand.node.progress import track
from carbrand.node.start import start
from carbrand.parallel.pool import parallel_map, ray_address
from carbrand.photos.copies_file import Copy, write_copies
from carbrand.photos.manifest import Row, evaluated_test_photos, kept_training_photos, read_manifest
from carbrand.photos.photo import open_photo, other_decoders
from carbrand.photos.resizing import MAX_SIZE_PX, RESIZE_POLICIES
from carbrand.vectors.alignment import Alignment, grey_thumbnail
from carbrand.vectors.array_file import open_rows, write_rows
from carbrand.vectors.feature_store import (
    Recipe,
    StoredPhoto,
    file_of_test_vectors,
    network_file,
    vectors_file,
    write_photos,
    write_test_photos,
)
from carbrand.vectors.series import find_series, find_series_of_tests
from carbrand.vectors.standardizer import Standardizer
from carbrand.vectors.vector_copies import (
    PhotoSet,
    RowPair,
    align_pairs,
    describe_training_copies,
    find_vector_copies,
    group_copies,
)

# Rooms of which a change may change vectors or thumbnails of a photo, or overlays of two.
CODE = ("parallel", "photos", "network", "vectors")
PACKAGES = ("keras", "numpy", "openvino", "pillow", "tensorflow")
# Parameters without augmentation: of a test photo only the photo as it is goes into the network.
AS_IT_IS: dict[str, Any] = {
    "views": 1,
    "shear": 0.0,
    "zoom": 0.0,
    "crop": 1.0,
    "flip": False,
    "seed": 0,
}


@dataclass(frozen=True)
class FeaturesParams:
    """Which network extracts the vectors, and from which views; see params.yaml."""

    backbone: str = knob()
    weights: str = knob()
    engine: str = knob(choices=ENGINES)
    size_px: int = knob(low=MIN_SIZE_PX, high=MAX_SIZE_PX)
    resize: str = knob(choices=RESIZE_POLICIES)
    pooling: str = knob(choices=POOLINGS)
    views: int = knob(low=1, high=64)
    shear: float = knob(low=0.0, high=0.5)
    zoom: float = knob(low=0.0, high=0.5)
    crop: float = knob(low=0.2, high=1.0)
    flip: bool = knob()
    seed: int = knob(low=0)
    series: float = knob(low=0.0, high=1.0)


def views_of(photo: Image.Image, row: Row, params: FeaturesParams) -> list[np.ndarray]:
    """The views of one photo, (size_px, size_px, 3) uint8 each; the first is the photo as it is."""
    augmentation = Augmentation(params.shear, params.zoom, params.crop, params.flip)
    return [
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


def save_network(path: Path, params: FeaturesParams) -> Recipe:
    """Write the network from a view to its vector as a Keras file; return its recipe."""
    backbone = build_backbone(params.backbone, params.size_px, params.weights)
    levels = levels_of(backbone) if params.pooling == "levels" else ()
    network, widths = add_pooling(backbone, params.pooling, levels)
    check_disk_space(path, network.count_params())
    network.save(path)
    return Recipe(params.resize, params.size_px, tuple(widths))


def open_network(path: Path, params: FeaturesParams) -> Engine:
    """The network from a view (size_px, size_px, 3) to its vector (d,), from `save_network`."""
    try:
        network = read_network(path)
        return open_engine(params.engine, network, [network.output])
    except NotANetwork as error:
        raise UserError(
            f"features.backbone: {params.backbone} cannot be run ({error}). Choose another."
        ) from None


def cache_recipe(network: Path, params: FeaturesParams) -> dict[str, Any]:
    """Everything that determines a photo's vectors, besides its pixels and versions of packages."""
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    of_vectors = {name: value for name, value in asdict(params).items() if name != "series"}
    return of_vectors | {
        "engine": choose(params.engine),
        "network": digest,
        "code": hash_code(),
    }


def hash_code() -> str:
    """SHA-256 of this module and of the rooms that a photo goes through on its way to a vector."""
    return hash_rooms(CODE, Path(__file__))


def extract_photos(
    rows: Sequence[Row], network: Engine, params: FeaturesParams
) -> Iterator[Extracted]:
    """Vectors and thumbnail of each photo, in their order."""
    thumbnails: dict[int, np.ndarray] = {}

    def read(place: int) -> list[np.ndarray]:
        photo = open_photo(rows[place].path)
        thumbnails[place] = grey_thumbnail(photo)
        return views_of(photo, rows[place], params)

    for place, vectors in enumerate(extract(range(len(rows)), read, network)):
        yield vectors, thumbnails.pop(place)


def extract_on_cluster(
    rows: Sequence[Row], path: Path, params: FeaturesParams
) -> Iterator[Extracted]:
    """The same on a Ray cluster; `path` is the network's, which all its machines can read."""
    return parallel_map(partial(_extract_one, path=path.resolve(), params=params), rows)


def _extract_one(row: Row, path: Path, params: FeaturesParams) -> Extracted:
    return next(extract_photos([row], _network_of_worker(path, params), params))


@lru_cache(maxsize=1)
def _network_of_worker(path: Path, params: FeaturesParams) -> Engine:
    """Opened once in each process of the cluster."""
    return open_network(path, params)


def choose_extractor(path: Path, params: FeaturesParams) -> Callable[..., Iterator[Extracted]]:
    """Extraction for given `params`: on the cluster where there is one, or else here."""
    if ray_address():
        return partial(extract_on_cluster, path=path)
    return partial(extract_photos, network=open_network(path, params))


def load_or_align(
    photos: PhotoSet, originals: PhotoSet, candidates: Sequence[RowPair], kept: VectorCache
) -> Iterator[Alignment]:
    """The alignments of pairs of photos, from the cache as far as they are in it."""
    names = [
        f"{photos.rows[one].pixel_sha256} on {originals.rows[other].pixel_sha256}"
        for one, other in candidates
    ]

    def align_missing(places: Sequence[int]) -> Iterator[tuple[np.ndarray]]:
        for it in align_pairs(photos, originals, [candidates[place] for place in places]):
            yield (np.array([it.similarity, it.agrees, it.mirrored]),)

    for (entry,) in kept.load_or_compute(names, align_missing):
        similarity, agrees, mirrored = entry.tolist()
        yield Alignment(similarity, bool(agrees), bool(mirrored))


def write_photo_set(
    extracted: Iterator[Extracted], rows: Sequence[Row], vectors: Path, thumbnails: Path
) -> PhotoSet:
    """Write vectors (n, views, d) and thumbnails; return them for the search for copies."""
    write_rows((vectors, thumbnails), track(extracted, "Extracting vectors", len(rows)), len(rows))
    return PhotoSet(rows, open_rows(vectors)[:, 0], open_rows(thumbnails))


def find_test_copies(
    tests: PhotoSet, training: PhotoSet, space: Standardizer, kept: VectorCache
) -> list[Copy]:
    """Test photos that are copies of training photos (`leaked`) or of one another (`duplicate`).

    Test labels are not used: `evaluate` alone may read them.
    """
    align_all = partial(load_or_align, kept=kept)
    return [
        pair.as_copy(tests.rows, (originals or tests).rows, issue)
        for originals, issue in ((training, "leaked"), (None, "duplicate"))
        for pair in find_vector_copies(tests, originals, space, align_all)
    ]


@dataclass(frozen=True)
class Related:
    """Which photos belong together.

    groups, series: of each training photo; copies: among them. test_series: of each test photo;
    test_copies: of and among them.
    """

    groups: list[str]
    series: list[str]
    copies: list[Copy]
    test_series: list[str]
    test_copies: list[Copy]


def extract_and_compare(
    training_rows: Sequence[Row],
    test_rows: Sequence[Row],
    params: FeaturesParams,
    recipe: Recipe,
    cache: Path,
    out: Path,
) -> Related:
    """Write the vectors, and find copies and series by them."""
    network = network_file(out)
    extract_with, plain = choose_extractor(network, params), replace(params, **AS_IT_IS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        with VectorCache(cache, cache_recipe(network, params)) as kept:
            extracted = load_or_extract(training_rows, partial(extract_with, params=params), kept)
            training = write_photo_set(
                extracted, training_rows, vectors_file(out), Path(scratch, "training.npy")
            )
            space = Standardizer.fit(training.vectors[:, None], recipe.widths)
            pairs = find_vector_copies(training, None, space, partial(load_or_align, kept=kept))
        groups = group_copies(training_rows, pairs)
        copies = describe_training_copies(training_rows, pairs)
        series = find_series(training_rows, training.vectors, space, groups, params.series)
        if not test_rows:  # `evaluate` says so; no memory map can be empty
            np.save(file_of_test_vectors(out), np.empty((0, 1, sum(recipe.widths)), np.float32))
            return Related(groups, series, copies, [], [])
        # Another recipe: no parameter of the views makes the cache miss a test photo.
        with VectorCache(cache, cache_recipe(network, plain)) as kept:
            extracted = load_or_extract(test_rows, partial(extract_with, params=plain), kept)
            tests = write_photo_set(
                extracted, test_rows, file_of_test_vectors(out), Path(scratch, "tests.npy")
            )
            test_copies = find_test_copies(tests, training, space, kept)
        sets = (test_rows, tests.vectors, training_rows, training.vectors)
        test_series = find_series_of_tests(*sets, space, series, params.series)
        return Related(groups, series, copies, test_series, test_copies)


def main(params_file: Path, manifest: Path, cache: Path, out: Path) -> None:
    """Read the photos, write their vectors, and all copies.

    `cache` is a folder of vectors from earlier runs, which may be empty.
    """
    params = read_section(params_file, "features", FeaturesParams)
    listed = read_manifest(manifest)
    rows = kept_training_photos(listed)
    test_rows = evaluated_test_photos(listed)
    out.mkdir(parents=True, exist_ok=True)
    if choose(params.engine) == "keras" and not ray_address():
        import_keras()  # before it is imported in another way, to build the network
    recipe = save_network(network_file(out), params)
    related = extract_and_compare(rows, test_rows, params, recipe, cache / "vectors.sqlite", out)
    stored = [
        StoredPhoto(row.path, row.brand, group, series)
        for row, group, series in zip(rows, related.groups, related.series, strict=True)
    ]
    write_photos(out, stored, recipe)
    write_test_photos(out, [row.path for row in test_rows], related.test_series)
    write_copies(out / "copies.csv", related.copies)
    write_copies(out / "test_copies.csv", related.test_copies)
    write_origin(out / "origin.json", params, (*PACKAGES, *other_decoders([*rows, *test_rows])))


if __name__ == "__main__":
    # By the name under which the processes of a cluster find its functions too.
    from stages.features import main as main_of_module

    start(main_of_module)
