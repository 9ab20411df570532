"""Files that Keras saved: `.h5`, and `.keras`, which is a zip with an `.h5` of the weights in it.

Neither is ever handed to Keras. From a `.keras` file two members are taken, under names of our own;
they must lie in it as they are, so that they take no more room than the file.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carbrand.network.weights.h5_file import H5_ERRORS, open_h5, read_text
from carbrand.node.errors import UserError

_H5_SIGNATURE, _ZIP_SIGNATURE = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MAX_CONFIG = 2**26  # bytes; NASNetLarge has 2 million
_MAX_MEMBERS = 1000


def check_keras_file(knob: str, path: Path) -> None:
    """Raise UserError unless the file begins as one that Keras saved. knob: what names it."""
    if not path.is_file():
        expected = "Expected imagenet or the path of a .h5 or .keras file."
        raise UserError(f"{knob}: {path} is not a file. {expected}")
    try:
        with path.open("rb") as file:
            start = file.read(len(_H5_SIGNATURE))
    except OSError as error:
        raise UserError(f"{knob}: {path} cannot be read ({error.strerror}).") from None
    if start != _H5_SIGNATURE and not start.startswith(_ZIP_SIGNATURE):
        raise UserError(
            f"{knob}: {path} is not an HDF5 file. Expected a .h5 or .keras that Keras saved."
        )


@contextlib.contextmanager
def weights_inside(path: Path) -> Iterator[Path]:
    """The file itself, or the `.h5` out of a `.keras` file, which is gone afterwards."""
    if not _is_zip(path):
        yield path
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(folder, _WEIGHTS)
        with _member(path, _WEIGHTS) as stored, copy.open("wb") as file:
            shutil.copyfileobj(stored, file, 2**20)
        yield copy


def read_description(path: Path) -> Any:
    """The JSON in which Keras describes the model that it saved. Raises UserError."""
    try:
        if _is_zip(path):
            with _member(path, _CONFIG) as stored:
                return json.loads(stored.read(_MAX_CONFIG))
        with open_h5(path) as file:
            if "model_config" not in file.attrs:
                raise UserError(
                    f"{path} holds weights, but no network. Save it with `model.save`, or name its "
                    f"network as features.backbone and the file as features.weights."
                )
            return json.loads(read_text(file, "model_config"))
    except (*H5_ERRORS, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read ({reason[:200]!a}). Save it again.") from None


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ZIP_SIGNATURE)) == _ZIP_SIGNATURE


@contextlib.contextmanager
def _member(path: Path, name: str) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            found = [info for info in archive.infolist()[:_MAX_MEMBERS] if info.filename == name]
            if len(found) != 1:
                raise UserError(f"{path} is no .keras file: it has {len(found)} times {name}.")
            (info,) = found
            size = info.file_size
            if info.compress_type != zipfile.ZIP_STORED or size != info.compress_size:
                raise UserError(
                    f"{path}: {name} is packed, which Keras does not do. Save it again."
                )
            if size > path.stat().st_size or (name == _CONFIG and size > _MAX_CONFIG):
                raise UserError(f"{path}: {name} is too large.")
            with archive.open(info) as stored:
                yield stored
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise UserError(
            f"{path} is a damaged .keras file ({str(error)!a}). Save it again."
        ) from None
