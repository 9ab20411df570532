"""Networks with layers that are not translated here, as Keras itself writes them for OpenVINO.

That takes TensorFlow and some ten seconds, in a process of its own: where networks are built for
OpenVINO, TensorFlow can no longer be imported. What it wrote is kept in a folder of the user's
cache that nobody else can write to, under a hash of the network and of all that made it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from carbrand.network.architecture.keras_graph import NotDescribed, describe, renumber
from carbrand.network.architecture.rebuild import (
    assign,
    containers_of,
    expected_shapes,
    rebuild,
    with_zeros,
)
from carbrand.network.inference.openvino_network import import_openvino
from carbrand.network.keras_import import import_keras
from carbrand.network.weights.keras_file import read_description
from carbrand.network.weights.layer_weights import read_layers
from carbrand.network.weights.network_file import NetworkFile, NotANetwork, read_network
from carbrand.node.errors import UserError
from carbrand.node.origin import version_of

_PACKAGES = ("carbrand", "keras", "openvino", "tensorflow")


@contextmanager
def exported(network: NetworkFile, outputs: Sequence[str]) -> Iterator[Path]:
    """The .xml file of the network from photos (n, h, w, 3) float32 to the outputs of these layers.

    Raises NotANetwork.
    """
    with _folder() as folder:
        path = folder / f"{_key(network, outputs)}.xml"
        if not path.is_file():
            _export(network, outputs, path)
        yield path


def _key(network: NetworkFile, outputs: Sequence[str]) -> str:
    versions = [version_of(name) for name in _PACKAGES]
    about = json.dumps([hashlib.sha256(network.path.read_bytes()).hexdigest(), outputs, versions])
    return hashlib.sha256(about.encode()).hexdigest()


@contextmanager
def _folder() -> Iterator[Path]:
    """The user's own, where there can be one; else one that is gone afterwards."""
    import platformdirs

    kept = Path(platformdirs.user_cache_dir("carbrand", False)) / "networks"
    if _is_private(kept):
        yield kept
    else:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield Path(folder)


def _is_private(folder: Path) -> bool:
    """Whether the folder is there, or could be made, and others cannot write into it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        return os.access(folder, os.W_OK) and (
            sys.platform == "win32" or (found.st_uid == os.geteuid() and not found.st_mode & 0o022)
        )
    except (OSError, RuntimeError):  # a read-only home, or none
        return False


def _export(network: NetworkFile, outputs: Sequence[str], path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, ignore_cleanup_errors=True) as folder:
        made = Path(folder, path.name)
        command = [sys.executable, "-m", "carbrand.network.inference.exported_network"]
        done = subprocess.run(
            [*command, str(network.path.resolve()), str(made), *outputs],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode or not made.is_file():
            lines = done.stdout.decode(errors="replace").strip().splitlines() or [""]
            raise NotANetwork(f"Keras cannot write it for OpenVINO ({lines[-1][:300]!a})")
        made.with_suffix(".bin").replace(path.with_suffix(".bin"))
        made.replace(path)  # last: it says that both are there


def main(network: Path, path: Path, outputs: Sequence[str]) -> None:
    """Rebuild the network from its description and its arrays, and write it."""
    read = read_network(network)
    keras = import_keras()
    new = renumber(read.layers)
    try:
        graph = with_zeros(describe(read_description(network)))
        photos = keras.Input(read.input_shape, name="photos")
        tensors = rebuild(keras, graph, photos, most=network.stat().st_size)
    except NotDescribed as error:
        raise NotANetwork(str(error)) from None
    whole: Any = keras.Model(photos, [tensors[new[name]] for name in outputs])
    expected = expected_shapes(whole)
    above = frozenset(tensors) - expected.keys()
    stored = read_layers(network, "the network in it", expected, above, containers_of(graph))
    assign(whole, stored.arrays)
    spec = keras.layers.InputSpec(shape=(None, *read.input_shape), dtype="float32")
    import_openvino()  # as everywhere, such that it can send nothing
    whole.export(str(path), format="openvino", input_signature=[spec], verbose=False)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    except (NotANetwork, UserError) as error:
        sys.exit(str(error))
