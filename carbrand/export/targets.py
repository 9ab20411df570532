"""The formats of an export: what writes each, what runs it, how near to Keras it must stay."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.export import run_litert, run_onnx, run_savedmodel
from carbrand.export.agreement import Tolerance
from carbrand.export.tensorflow_files import TensorFlowFiles, quantise
from carbrand.network.network_file import NetworkFile
from carbrand.network.onnx_network import for_export
from carbrand.node.errors import UserError

# A hundred times what was measured, a hundredth of what anybody can see.
EXACT = Tolerance(same_brand=1.0, largest=1e-4, mean=1e-5)
QUANTISED = Tolerance(same_brand=0.95, largest=0.25, mean=0.03)


@dataclass(frozen=True)
class Source:
    """What a format may be made of.

    tensorflow: the Keras model in TensorFlow's formats; representative: training photos
    (n, s, s, 3) uint8; metadata: what a file may say of itself.
    """

    network: NetworkFile
    tensorflow: TensorFlowFiles
    representative: np.ndarray
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Format:
    """One of them. `file` is what `write` makes in an empty folder; `runner` is the program that
    the check runs, for which `modules` must be installed.
    """

    name: str
    title: str
    file: str
    modules: tuple[str, ...]
    runner: ModuleType
    tolerance: Tolerance
    write: Callable[[Source, Path], None]

    @property
    def missing(self) -> list[str]:
        """The modules that are not installed."""
        return [name for name in self.modules if importlib.util.find_spec(name) is None]


def _write_savedmodel(source: Source, path: Path) -> None:
    shutil.copytree(source.tensorflow.savedmodel, path)


def _write_tflite(source: Source, path: Path) -> None:
    shutil.copyfile(source.tensorflow.tflite, path)


def _write_int8(source: Source, path: Path) -> None:
    quantise(source.tensorflow.tflite, source.representative, path)


def _write_onnx(source: Source, path: Path) -> None:
    write_onnx(source.network, path, source.metadata)


def write_onnx(network: NetworkFile, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a file that ONNX's own check accepts; the same arguments give the same bytes.

    `metadata` goes into the file, each value as JSON. Raises NotANetwork.
    """
    import onnx

    data = for_export(network, metadata)
    onnx.checker.check_model(data, full_check=True)
    path.write_bytes(data)


FORMATS = {
    format.name: format
    for format in (
        Format(
            name="savedmodel",
            title="TensorFlow SavedModel",
            file="model",
            modules=("tensorflow",),
            runner=run_savedmodel,
            tolerance=EXACT,
            write=_write_savedmodel,
        ),
        Format(
            name="tflite",
            title="LiteRT (TensorFlow Lite)",
            file="model.tflite",
            modules=("tensorflow", "ai_edge_litert"),
            runner=run_litert,
            tolerance=EXACT,
            write=_write_tflite,
        ),
        Format(
            name="tflite_int8",
            title="LiteRT (TensorFlow Lite), int8",
            file="model_int8.tflite",
            modules=("tensorflow", "ai_edge_litert", "ai_edge_quantizer"),
            runner=run_litert,
            tolerance=QUANTISED,
            write=_write_int8,
        ),
        Format(
            name="onnx",
            title="ONNX",
            file="model.onnx",
            modules=("tensorflow", "onnx", "onnxruntime"),
            runner=run_onnx,
            tolerance=EXACT,
            write=_write_onnx,
        ),
    )
}


def choose_formats(names: Sequence[str]) -> list[Format]:
    """Those named, each once; without a name, all whose packages are installed, if any.

    Raises UserError where a package that is needed is not installed.
    """
    if names:
        chosen = [FORMATS[name] for name in dict.fromkeys(names)]
        lacking = [format for format in chosen if format.missing]
    else:
        chosen = [format for format in FORMATS.values() if not format.missing]
        lacking = [] if chosen else list(FORMATS.values())
    if lacking:
        raise UserError(*(why_left_out(format) for format in lacking))
    return chosen


def why_left_out(format: Format) -> str:
    """A line for a format whose packages are not all installed."""
    extras = "cpu,export" if "tensorflow" in format.missing else "export"
    return (
        f"{format.name} is left out: {', '.join(format.missing)} not installed. Install what it "
        f"needs, `pip install -e '.[{extras}]'`."
    )
