"""The formats of an export: their writers, runtimes and tolerances."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from carbrand.export.agreement import Tolerance
from carbrand.export.runtimes import run_litert, run_onnx, run_savedmodel
from carbrand.export.runtimes.tensorflow_files import TensorFlowFiles, quantize
from carbrand.network.inference.onnx_network import for_export
from carbrand.network.weights.network_file import NetworkFile, NotANetwork
from carbrand.node.errors import UserError

# A hundred times the measured differences, and still far below a visible one.
EXACT = Tolerance(same_brand=1.0, largest=1e-4, mean=1e-5)
QUANTISED = Tolerance(same_brand=0.95, largest=0.25, mean=0.03)


@dataclass(frozen=True)
class Source:
    """The input of an export.

    tensorflow: the Keras model in TensorFlow's formats. representative: training photos
    (n, s, s, 3) uint8 for calibration. metadata: to be embedded in the file.
    """

    network: NetworkFile
    tensorflow: TensorFlowFiles
    representative: np.ndarray
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Format:
    """A format. `write` writes `file`; `runner` is the program that the check runs, which needs the
    packages `modules`.
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
    quantize(source.tensorflow.tflite, source.representative, path)


def _write_onnx(source: Source, path: Path) -> None:
    try:
        write_onnx(source.network, path, source.metadata)
    except NotANetwork as error:
        raise UserError(
            f"onnx: the model has a layer that is not translated ({error}). Choose other formats "
            f"with --format."
        ) from None


def write_onnx(network: NetworkFile, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a file that passes ONNX's checker; deterministic to the byte.

    `metadata` is embedded, each value as JSON. Raises NotANetwork.
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
    """The named formats, each once; without names, all whose packages are installed.

    Raises UserError if a required package is missing, or the packages of all formats are.
    """
    if names:
        chosen = [FORMATS[name] for name in dict.fromkeys(names)]
        unusable = [format for format in chosen if format.missing]
    else:
        chosen = [format for format in FORMATS.values() if not format.missing]
        unusable = [] if chosen else list(FORMATS.values())
    if unusable:
        raise UserError(*(explain_missing(format) for format in unusable))
    return chosen


def explain_missing(format: Format) -> str:
    """A message for a format with missing packages."""
    extras = "cpu,export" if "tensorflow" in format.missing else "export"
    return (
        f"{format.name} is left out: {', '.join(format.missing)} not installed. Run "
        f"`pip install -e '.[{extras}]'`."
    )
