"""model.h5: one Keras file with the network, its preprocessing and the names of the brands."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from carbrand.network.keras_import import import_keras_to_build
from carbrand.network.views import TEST_VIEWS, TestViews
from carbrand.network.weights.h5_file import H5_ERRORS, open_h5, read_floats, read_text
from carbrand.node.errors import UserError
from carbrand.node.files.atomic import check_disk_space
from carbrand.node.origin import version_of
from carbrand.photos.resizing import MAX_SIZE_PX, RESIZE_POLICIES
from carbrand.scores.conformal import SetRule
from carbrand.scores.held_out_score import HeldOutScore
from carbrand.scores.unknown import PARTS, BrandSpace, UnknownRule
from carbrand.vectors.feature_store import Recipe

_ATTRIBUTE = "carbrand"
# The group of the arrays of BrandSpace, which Keras does not read.
_SPACE = "carbrand_space"
# The axes are the largest of them.
_HALF = np.dtype("<f2")
MEND = "Make one with `dvc repro`, or name another with --model."


def save_classifier(
    path: Path,
    network: Any,
    recipe: Recipe,
    kernel: np.ndarray,
    bias: np.ndarray,
    brands: Sequence[str],
    temperature: float = 1.0,
    test_views: TestViews = "plain",
    held_out: HeldOutScore | None = None,
    unknown: UnknownRule | None = None,
    sets: SetRule | None = None,
) -> None:
    """Write the network from photos to vectors (n, d), with the head, as one Keras model.

    kernel (d, brands), bias (brands,): divided by `temperature` before writing, so that the model's
    outputs are calibrated.

    The attribute `carbrand` holds JSON metadata: the brands in the order of the outputs, the size
    and the resize policy of the input, the temperature, the test views that a prediction averages
    over, the versions of the libraries, what held-out photos promise, and where there are such the
    rules by which a photo is unknown and which brands are in its set.
    """
    keras = import_keras_to_build()
    head = keras.layers.Dense(len(brands), activation="softmax", name="head")
    model = keras.Model(network.inputs, head(network.output), name="carbrand")
    head.set_weights([kernel / temperature, bias / temperature])
    check_disk_space(path, model.count_params())
    model.save(path)
    metadata: dict[str, Any] = {
        "brands": list(brands),
        "size_px": recipe.size_px,
        "resize": recipe.resize,
        "temperature": temperature,
        "test_views": test_views,
        "versions": {name: version_of(name) for name in ("carbrand", "keras", "numpy", "pillow")},
    }
    if held_out:
        metadata["held_out"] = held_out.to_json()
    if sets:
        metadata["sets"] = asdict(sets)
    if unknown:
        metadata["unknown"] = {
            "weights": unknown.weights,
            "share": unknown.share,
            "components": unknown.space.axes.shape[1],
        }
    with h5py.File(path, "r+") as file:
        if unknown:
            for name, array in vars(unknown.space).items():
                kind = _HALF if name == "axes" else "<f4"
                file.create_dataset(f"{_SPACE}/{name}", data=array, dtype=kind)
        file.attrs[_ATTRIBUTE] = json.dumps(metadata, ensure_ascii=False, sort_keys=True)


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata: `brands`, `size_px`, `resize`, `temperature`, `test_views`, `versions`.

    And `held_out`, except in files of early versions, and `unknown` and `sets`, unless they are
    off. Raises UserError unless `save_classifier` wrote the file.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist. {MEND}")
    try:
        with open_h5(path) as file:
            metadata = json.loads(read_text(file, _ATTRIBUTE))
        _check_metadata(metadata)
    except H5_ERRORS:
        raise NotAModel(path) from None
    return metadata


def read_rules(path: Path, width: int) -> tuple[UnknownRule | None, SetRule | None]:
    """By what a photo is unknown, and which brands are in its set; None where the file has none.

    width: of the vectors. Raises UserError as `read_metadata`.
    """
    metadata = read_metadata(path)
    sets = SetRule(**metadata["sets"]) if "sets" in metadata else None
    if "unknown" not in metadata:
        return None, sets
    brands, unknown = len(metadata["brands"]), metadata["unknown"]
    components = unknown["components"]
    shapes = {
        "mean": (width,),
        "scale": (width,),
        "axes": (width, components),
        "whitening": (components, components),
        "means": (brands, components),
    }
    try:
        with open_h5(path) as file:
            arrays = {
                name: read_floats(path, file, f"{_SPACE}/{name}", shape)
                for name, shape in shapes.items()
            }
    except H5_ERRORS:
        raise NotAModel(path) from None
    space = BrandSpace(**arrays)
    return UnknownRule(space, tuple(unknown["weights"]), unknown["share"]), sets


def _check_metadata(metadata: Any) -> None:
    """Raise KeyError, TypeError or ValueError unless it is valid."""
    brands, size_px = metadata["brands"], metadata["size_px"]
    if not (isinstance(brands, list) and all(isinstance(brand, str) for brand in brands)):
        raise TypeError(brands)
    if len(brands) < 2 or len(set(brands)) < len(brands):
        raise ValueError(brands)
    if metadata["resize"] not in RESIZE_POLICIES:
        raise ValueError(metadata["resize"])
    if not (type(size_px) is int and 0 < size_px <= MAX_SIZE_PX):
        raise ValueError(size_px)
    temperature = metadata["temperature"]
    if not (type(temperature) in (int, float) and 0 < temperature < math.inf):
        raise ValueError(temperature)
    if metadata["test_views"] not in TEST_VIEWS:
        raise ValueError(metadata["test_views"])
    if "held_out" in metadata:
        HeldOutScore.from_json(metadata["held_out"])
    numbers = []
    if "sets" in metadata:
        numbers += [metadata["sets"]["level"], metadata["sets"]["least"]]
    if "unknown" in metadata:
        numbers += [metadata["unknown"]["share"], *metadata["unknown"]["weights"]]
        numbers += [metadata["unknown"]["components"]]
        if len(metadata["unknown"]["weights"]) != PARTS:
            raise ValueError(metadata["unknown"])
    if not all(type(number) in (int, float) and 0 <= number < math.inf for number in numbers):
        raise ValueError(numbers)


class NotAModel(UserError):
    """This project did not write the file, or it is damaged."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not a model that this project wrote. {MEND}")
