"""`python -m bench.unknown [NAME=FOLDER…]`: how surely photos of none of the brands are caught.

Each FOLDER holds a folder of training photos per brand; by default the drawn sample, and the
article's cars and the groceries where ../shared has them. A head is trained on each as in `train`.
Unknown to it are the photos of the other folders, walls and textures drawn here, and faces and
other pictures that scikit-image, scikit-learn and matplotlib bring (far); to another head a fifth
of the brands, which it never saw (near). Known are held-out photos.

Prints the area under the ROC curve, and the share of unknown photos caught where `train.unknown`
allows that share of known ones; each beside the highest probability, the usual baseline.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from bench.photos import name_series, read_rows, read_vectors
from carbrand.node.params import read_section
from carbrand.scores.unknown import (
    BrandSpace,
    calibrate_unknown,
    conformal_quantile,
    hold_out_distances,
)
from carbrand.training.problem import softmax
from carbrand.vectors.feature_store import Features
from stages.features import FeaturesParams
from stages.train import TrainParams, calibrate, train

PARAMS = Path("params.yaml")
KNOWN = {
    "drawn": Path("Datasets/train"),
    "cars": Path("../shared/datasets/car-brands-3/train"),
    "groceries": Path("../shared/datasets/grocery-81/train"),
}
DRAWN, SIDE_PX = 60, 448
# Every fifth brand is left out, at most so many times, beginning with another one each.
FIFTH, LEFT_OUT = 5, 3
# Pictures that packages bring.
PICTURES = {
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
    "matplotlib": ("mpl-data/sample_data", ("grace_hopper.jpg",)),
    "skimage": (
        "data",
        ("astronaut.png", "chelsea.png", "coffee.png", "coins.png", "rocket.jpg", "page.png"),
    ),
}


@dataclass(frozen=True)
class Caught:
    """Of one kind of unknown photos: the area under the ROC curve, and the share caught."""

    area: float
    share: float

    def __str__(self) -> str:
        return f"{self.area:.3f} {100 * self.share:4.0f} %"


def draw_walls(rng: np.random.Generator) -> Iterator[Image.Image]:
    """Plain colours under light that falls off to a side, with some grain."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] / SIDE_PX - 0.5
    for _ in range(DRAWN):
        right, down = rng.normal(0, 40, 2)
        light = (right * x + down * y)[..., None]
        grain = rng.normal(0, rng.uniform(0, 6), (SIDE_PX, SIDE_PX, 1))
        yield _image(rng.uniform(30, 240, 3) + light + grain)


def draw_textures(rng: np.random.Generator) -> Iterator[Image.Image]:
    """Clouds, stripes and checks of two colours."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] / SIDE_PX
    for number in range(DRAWN):
        cells = int(2 ** rng.uniform(2, 7))
        if number % 3 == 0:
            small = Image.fromarray(rng.uniform(0, 1, (cells, cells)).astype(np.float32))
            mix = np.asarray(small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
        elif number % 3 == 1:
            angle = rng.uniform(0, np.pi)
            mix = 0.5 + 0.5 * np.sin(np.pi * cells * (x * np.cos(angle) + y * np.sin(angle)))
        else:
            mix = ((x * cells).astype(int) + (y * cells).astype(int)) % 2
        one, other = rng.uniform(0, 255, (2, 3))
        yield _image(one + (other - one) * mix[..., None])


def _image(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def packaged(package: str) -> Path | None:
    """The folder of an installed package."""
    found = find_spec(package)
    return Path(found.origin).parent if found and found.origin else None


def read_faces() -> Iterator[Image.Image]:
    """A hundred faces of Labeled Faces in the Wild, which scikit-image brings, 25 pixels wide."""
    folder = packaged("skimage")
    if folder and (folder / "data/lfw_subset.npy").is_file():
        for face in np.load(folder / "data/lfw_subset.npy")[:100]:
            grey = Image.fromarray((face * 255).astype(np.uint8)).convert("RGB")
            yield grey.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)


def read_pictures() -> Iterator[Image.Image]:
    """Pictures of all sorts."""
    for package, (place, names) in PICTURES.items():
        folder = packaged(package)
        for name in names:
            if folder and (folder / place / name).is_file():
                yield Image.open(folder / place / name).convert("RGB")


def write_kinds(folder: Path) -> None:
    """Write the photos of each kind that needs no data set into a folder of its own."""
    rng = np.random.default_rng(0)
    kinds = {
        "walls": draw_walls(rng),
        "textures": draw_textures(rng),
        "faces": read_faces(),
        "pictures": read_pictures(),
    }
    for kind, images in kinds.items():
        (folder / kind).mkdir()
        for number, image in enumerate(images):
            image.save(folder / kind / f"{number:03}.png")
        if not any((folder / kind).iterdir()):
            print(f"absent: {kind} (pip install scikit-image)")


def read(folder: Path) -> Features:
    """The features of the photos as they are, without augmented views."""
    params = replace(read_section(PARAMS, "features", FeaturesParams), views=1)
    rows = read_rows(folder)
    vectors, recipe = read_vectors(rows, params)
    paths, brands = [row.path for row in rows], [row.brand for row in rows]
    hashes = [row.pixel_sha256 for row in rows]
    series = name_series(rows, vectors, recipe, params)
    return Features(vectors, paths, brands, hashes, series, recipe, Path("none.h5"))


def measure(
    known: Features, unknown: Mapping[str, np.ndarray], params: TrainParams
) -> dict[str, tuple[Caught, Caught]]:
    """By kind of the unknown vectors (n, d): our score, and the highest probability."""
    head = train(known, params)
    temperature, calibrated = calibrate(head, known, params)
    vectors, labels, widths = known.vectors[:, 0], known.labels, known.recipe.widths
    distances = hold_out_distances(vectors, labels, head.folds, widths)
    held_out = softmax(calibrated)
    space = BrandSpace.fit(vectors, labels, widths)
    rule = calibrate_unknown(space, distances, held_out, params.unknown)
    if rule is None:
        raise SystemExit("train.unknown is 0, so there is nothing to measure.")
    scores, doubts = rule.weigh(distances, held_out), 1 - held_out.max(axis=1)
    limit = conformal_quantile(doubts, 1 - params.unknown)
    found = {}
    for kind, others in unknown.items():
        shares = softmax((others @ head.kernel + head.bias) / temperature)
        found[kind] = (
            compare(scores, rule.score(others, shares), 1.0),
            compare(doubts, 1 - shares.max(axis=1), limit),
        )
    return found


def compare(known: np.ndarray, unknown: np.ndarray, limit: float) -> Caught:
    """From the scores of known and unknown photos."""
    from scipy.stats import mannwhitneyu

    pairs = len(known) * len(unknown)
    return Caught(mannwhitneyu(unknown, known).statistic / pairs, float((unknown > limit).mean()))


def leave_out(features: Features) -> Iterator[tuple[Features, np.ndarray]]:
    """The features without some brands, and the vectors (n, d) of those."""
    for start in range(min(LEFT_OUT, len(features.brands))):
        absent = features.brands[start::FIFTH]
        if len(features.brands) - len(absent) < 2:
            return
        away = [b in absent for b in features.photo_brands]
        gone = {path for path, is_away in zip(features.paths, away, strict=True) if is_away}
        yield features.without(gone), features.vectors[away, 0]


def main() -> None:
    """Print a table for each folder of known photos."""
    named = dict(argument.split("=", 1) for argument in sys.argv[1:])
    folders = {name: Path(folder) for name, folder in named.items()} or KNOWN
    for name, folder in folders.items():
        if not folder.is_dir():
            print(f"absent: {name} ({folder})")
    sets = {name: read(folder) for name, folder in folders.items() if folder.is_dir()}
    with tempfile.TemporaryDirectory() as scratch:
        write_kinds(Path(scratch))
        drawn = read(Path(scratch))
    kinds = {kind: drawn.vectors[np.array(drawn.photo_brands) == kind, 0] for kind in drawn.brands}
    params = read_section(PARAMS, "train", TrainParams)
    for name, known in sets.items():
        print(f"\n{name}: {len(known.paths)} photos of {len(known.brands)} brands")
        print(f"{'unknown':24}{'ours':16}highest probability")
        far = kinds | {n: other.vectors[:, 0] for n, other in sets.items() if n != name}
        rows = [*measure(known, far, params).items()]
        for number, (rest, away) in enumerate(leave_out(known), 1):
            rows += measure(rest, {f"near: brands left out {number}": away}, params).items()
        for kind, (ours, baseline) in rows:
            print(f"{kind:24}{ours!s:16}{baseline}")


if __name__ == "__main__":
    main()
