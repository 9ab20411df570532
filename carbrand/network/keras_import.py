"""Import of Keras: late, without noise, deterministic, and on TensorFlow only where needed.

`import tensorflow` takes seconds and logs a dozen useless lines of C++ to stderr. To train or run a
network with Keras call `import_keras()`; to build or save one, `import_keras_to_build()`.
"""

from __future__ import annotations

import contextlib
import copyreg
import importlib.util
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from carbrand.network.inference.openvino_network import import_openvino
from carbrand.node.errors import UserError

# Only what ends the process. At 2, every first `predict` with deterministic kernels logs an "error"
# about an attribute of its own ("may be expected"), and every GPU build on a machine without a GPU
# several; what goes wrong in earnest is raised as a Python exception. A value the user set wins.
LOG_LEVEL = ("TF_CPP_MIN_LOG_LEVEL", "3")

# Keras imports these if they are installed, for features that are not used here (plots of photos,
# scikit-learn wrappers, data frames): 0.3 s for matplotlib alone, 3 s for all three.
_OPTIONAL_IMPORTS = ("matplotlib", "pandas", "sklearn")

# What TensorFlow's libraries write before TF_CPP_MIN_LOG_LEVEL takes effect: information and
# warnings in both of its log formats, and what belongs to them. Errors (E, F) are not in it.
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IW]\d{4} \d\d:\d\d:\d\d"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] "
    rb"|To enable the following instructions:"
)
# Keras on .h5 files, which are chosen on purpose here: their bytes repeat, those of .keras do not.
# TensorFlow on functions traced again, which several models in one process cannot but do.
_EXPECTED_WARNINGS = (
    "You are saving your model as an HDF5 file",
    "No training configuration found in the save file",
    "Compiled the loaded model, but the compiled metrics have yet to be built",
    "triggered tf.function retracing",
)


def import_keras() -> ModuleType:
    """The module `keras` on TensorFlow, with deterministic kernels; the second call is free.

    Raises UserError where KERAS_BACKEND asks for another backend.
    """
    if "keras" not in sys.modules:
        _require_tensorflow_backend()
        with _imports_blocked(_OPTIONAL_IMPORTS), _startup_noise_dropped():
            import keras
    else:
        import keras
    if keras.backend.backend() != "tensorflow":
        raise UserError(_wrong_backend(keras.backend.backend()))
    import tensorflow as tf

    # ~/.keras/keras.json may say otherwise, and the same params must give the same model.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    tf.config.experimental.enable_op_determinism()
    _drop_expected_warnings()
    return keras


def import_keras_to_build() -> ModuleType:
    """The module `keras` to build and save networks, at a quarter of the cost of `import_keras`.

    On the backend it was imported with before; else on OpenVINO, and then this process cannot use
    TensorFlow any more; where OpenVINO is not installed, on TensorFlow. Raises UserError as
    `import_keras`.
    """
    if "keras" in sys.modules:
        import keras

        return keras
    if importlib.util.find_spec("openvino") is None:
        return import_keras()
    _require_tensorflow_backend()
    os.environ["KERAS_BACKEND"] = "openvino"
    # Keras would import it to save an .h5, for a question that only it can pose.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    import_openvino()
    try:
        with _imports_blocked(_OPTIONAL_IMPORTS):
            import keras
    finally:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # of processes that this one starts
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    # To save a network, Keras copies its lists with the variables of their layer, which OpenVINO's
    # cannot be. A LayerNormalization has such a list.
    copyreg.pickle(type(keras.layers.LayerNormalization(axis=[-1]).axis), _as_plain_list)
    _drop_expected_warnings()
    return keras


def _as_plain_list(items: list[object]) -> tuple[type, tuple[list[object]]]:
    return list, (list(items),)


def _require_tensorflow_backend() -> None:
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise UserError(_wrong_backend(backend))


def _wrong_backend(backend: str) -> str:
    return f"KERAS_BACKEND is {backend}, expected tensorflow. Unset it: `unset KERAS_BACKEND`."


@contextlib.contextmanager
def _imports_blocked(names: tuple[str, ...]) -> Iterator[None]:
    """A context in which these top-level modules cannot be imported, as if not installed."""
    blocked = [name for name in names if name not in sys.modules]
    # None in sys.modules is Python's documented way to say "not there".
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in blocked:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def _startup_noise_dropped() -> Iterator[None]:
    """A context that buffers file descriptor 2 and at its end writes all of it but noise.

    Static initialisers write the oneDNN notice whatever TF_CPP_MIN_LOG_LEVEL is, so only
    redirecting the descriptor itself helps.
    """
    name, value = LOG_LEVEL
    if os.environ.setdefault(name, value) != value:  # the user asked for more
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # no stderr at all, as in a daemon
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            _write_without_noise(held.read())


def _write_without_noise(written: bytes) -> None:
    rest = b"".join(line for line in written.splitlines(True) if not _NOISE.match(line))
    if rest:
        with contextlib.suppress(OSError):
            os.write(2, rest)


def _is_unexpected(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(expected in message for expected in _EXPECTED_WARNINGS)


def _drop_expected_warnings() -> None:
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).addFilter(_is_unexpected)  # the same filter twice counts once
