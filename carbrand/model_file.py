"""model.h5: one file that holds the network, its scaling and the names of the brands."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from carbrand.errors import UserError
from carbrand.feature_store import Origin
from carbrand.photo import MAX_SIZE_PX, RESIZE_POLICIES
from carbrand.pooling import add_pooling
from carbrand.quiet_keras import import_keras

_ATTRIBUTE = "carbrand"
MEND = "Make one with `dvc repro`, or name another with --model."


def save_classifier(
    path: Path,
    backbone: Any,
    origin: Origin,
    kernel: np.ndarray,
    bias: np.ndarray,
    brands: Sequence[str],
) -> None:
    """Write backbone, pooling and head (kernel (d, brands), bias (brands,)) as one Keras model.

    Beside the network the file holds, as JSON in its attribute `carbrand`: the brands in the order
    of the outputs, the size and the resize policy of the input, and the versions it was made with.
    """
    keras = import_keras()
    head = keras.layers.Dense(len(brands), activation="softmax", name="head")
    model = keras.Model(
        backbone.inputs, head(add_pooling(backbone, origin.pooling)), name="carbrand"
    )
    head.set_weights([kernel, bias])
    model.save(path)
    about = {
        "brands": list(brands),
        "size_px": origin.size_px,
        "resize": origin.resize,
        "versions": {name: _version(name) for name in ("carbrand", "keras", "numpy", "pillow")},
    }
    with h5py.File(path, "r+") as file:
        file.attrs[_ATTRIBUTE] = json.dumps(about, ensure_ascii=False, sort_keys=True)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from a source tree, not installed
        return "unknown"


def read_about(path: Path) -> dict[str, Any]:
    """What the file says of itself: `brands`, `size_px`, `resize`, `versions`.

    Raises UserError when it is no file that `save_classifier` wrote.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist. {MEND}")
    try:
        with h5py.File(path, "r") as file:
            about = json.loads(file.attrs[_ATTRIBUTE])
        _check_about(about)
    except (OSError, KeyError, ValueError, TypeError):
        raise NotAModel(path) from None
    return about


def _check_about(about: Any) -> None:
    """Raise KeyError, TypeError or ValueError unless it is what `save_classifier` writes."""
    brands, size_px = about["brands"], about["size_px"]
    if not (isinstance(brands, list) and all(isinstance(brand, str) for brand in brands)):
        raise TypeError(brands)
    if len(brands) < 2 or len(set(brands)) < len(brands):
        raise ValueError(brands)
    if about["resize"] not in RESIZE_POLICIES:
        raise ValueError(about["resize"])
    if not (type(size_px) is int and 0 < size_px <= MAX_SIZE_PX):
        raise ValueError(size_px)


class NotAModel(UserError):
    """The file is none that this project wrote, or was damaged since."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not a model that this project wrote. {MEND}")
