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
from carbrand.pooling import add_pooling
from carbrand.quiet_keras import import_keras

_ATTRIBUTE = "carbrand"


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
    mend = "Make one with `dvc repro`, or name another with --model."
    if not path.is_file():
        raise UserError(f"{path} does not exist. {mend}")
    try:
        with h5py.File(path, "r") as file:
            about = json.loads(file.attrs[_ATTRIBUTE])
    except (OSError, KeyError, ValueError):
        raise UserError(f"{path} is not a model that this project wrote. {mend}") from None
    return about
