"""Inference with a frozen network: OpenVINO on a processor, Keras on a GPU or anywhere.

Both engines have one signature and give the same vectors to 1e-4. Only this module chooses.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.network.inference.openvino_network import compile_network
from carbrand.network.keras_import import import_keras
from carbrand.network.weights.network_file import NetworkFile
from carbrand.node.errors import UserError
from carbrand.parallel.batches import BATCH_SIZE, in_batches, usable_cores

ENGINES = ("auto", "openvino", "keras")

# From photos (s, s, 3) uint8 to, for each in order, one array per output, without the batch axis.
# A bounded number of photos is in memory at a time.
Engine = Callable[[Iterable[np.ndarray]], Iterator[tuple[np.ndarray, ...]]]

# Without one of these Linux has no GPU that TensorFlow could use: NVIDIA, NVIDIA in WSL, AMD.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def choose(engine: str) -> str:
    """Resolve `engine`, one of ENGINES, to openvino or keras on this machine.

    auto is keras where TensorFlow has a GPU or OpenVINO is not installed, else openvino. Imports
    TensorFlow only where there may be a GPU. Raises UserError.
    """
    if engine not in ENGINES:
        raise UserError(f"There is no engine {engine}. Known: {', '.join(ENGINES)}.")
    installed = importlib.util.find_spec("openvino") is not None
    if engine == "openvino" and not installed:
        raise UserError(
            "features.engine: openvino is not installed. Install it, `pip install openvino`, or "
            "set features.engine: keras."
        )
    if engine == "auto":
        return "openvino" if installed and not _has_gpu() else "keras"
    return engine


def open_engine(engine: str, network: NetworkFile, outputs: Sequence[str]) -> Engine:
    """A function that runs the network over photos.

    `engine` is one of ENGINES; `outputs` are the names of the layers whose output is wanted: maps
    (h, w, channels) or vectors (d,). Raises UserError, or NotANetwork.
    """
    opener = _open_openvino if choose(engine) == "openvino" else _open_keras
    return opener(network, outputs)


def _has_gpu() -> bool:
    if sys.platform == "linux" and not any(Path(device).exists() for device in _GPU_DEVICES):
        return False
    import_keras()
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _open_keras(network: NetworkFile, outputs: Sequence[str]) -> Engine:
    keras = import_keras()
    whole = keras.models.load_model(network.path, compile=False)
    model = keras.Model(whole.inputs, [whole.get_layer(name).output for name in outputs])

    def run(photos: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
        for batch, count in in_batches(photos, BATCH_SIZE):
            results = model.predict_on_batch(batch)
            if len(outputs) == 1:  # Keras gives it by itself
                results = [results]
            yield from zip(*(array[:count] for array in results), strict=True)

    return run


def _open_openvino(network: NetworkFile, outputs: Sequence[str]) -> Engine:
    """One photo per request, one thread per request, as many at once as there are cores.

    Every photo is computed by one thread alone, so its vectors depend on nothing but the photo:
    neither on its neighbours nor on the number of cores.
    """
    compiled = compile_network(network, outputs, usable_cores())
    places = range(len(outputs))

    def run(photos: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
        # Twice as many as run at once, so that no core waits for a request to be filled in.
        idle = [compiled.create_infer_request() for _ in range(2 * usable_cores())]
        busy: deque[Any] = deque()
        try:
            for photo in photos:
                if not idle:
                    yield _results(busy[0], places)
                    idle.append(busy.popleft())
                request = idle.pop()
                np.copyto(request.get_input_tensor().data[0], photo, casting="no")
                request.start_async()
                busy.append(request)
            while busy:
                yield _results(busy[0], places)
                busy.popleft()
        finally:
            # Their results are not needed, but they must not outlive their model.
            for request in busy:
                request.wait()

    return run


def _results(request: Any, places: Iterable[int]) -> tuple[np.ndarray, ...]:
    request.wait()
    return tuple(request.get_output_tensor(place).data[0].copy() for place in places)
