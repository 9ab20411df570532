"""OpenVINO, which runs networks on a processor: one photo at a time, in 32-bit floats."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from carbrand.network.inference.onnx_network import for_one_photo
from carbrand.network.weights.network_file import NetworkFile, NotANetwork

# OpenVINO reports its use to its makers where this is installed beside it.
_TELEMETRY = "openvino_telemetry"


def import_openvino() -> ModuleType:
    """The module `openvino`, imported such that it can send nothing."""
    if "openvino" not in sys.modules:
        before = sys.modules.get(_TELEMETRY)
        # Python's way to say "not there": OpenVINO takes a stub of its own instead.
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
        try:
            import openvino
        finally:
            sys.modules.pop(_TELEMETRY)
            if before is not None:
                sys.modules[_TELEMETRY] = before
    import openvino

    return openvino


def compile_network(network: NetworkFile, outputs: Sequence[str], threads: int) -> Any:
    """The network for one photo (1, s, s, 3) uint8 at a time, as openvino.CompiledModel.

    Its outputs are those of the layers `outputs`: maps (1, h, w, channels) or vectors (1, d), all
    float32. Each of `threads` threads runs on a photo of its own. Raises NotANetwork.
    """
    core = import_openvino().Core()
    settings = {
        # Where a processor has bfloat16, OpenVINO takes it, and vectors are off by a tenth.
        "INFERENCE_PRECISION_HINT": "f32",
        "EXECUTION_MODE_HINT": "ACCURACY",
        "NUM_STREAMS": str(threads),
        "INFERENCE_NUM_THREADS": str(threads),
    }
    try:
        if network.is_translated:
            model = core.read_model(for_one_photo(network, outputs), b"")
        else:
            model = _read_exported(core, network, outputs)
        return core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise NotANetwork(" ".join(str(error).split())) from None


def _read_exported(core: Any, network: NetworkFile, outputs: Sequence[str]) -> Any:
    from carbrand.network.inference.exported_network import (
        exported,  # late: it imports Keras's half
    )

    openvino = import_openvino()
    with exported(network, outputs) as path:
        model = core.read_model(path)
    model.reshape([1, *network.input_shape])
    photos = openvino.preprocess.PrePostProcessor(model)
    photos.input().tensor().set_element_type(openvino.Type.u8)
    return photos.build()
