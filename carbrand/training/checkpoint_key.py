"""The key of a checkpoint: trainings that could differ in any bit have different keys."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path

import numpy as np

from carbrand.node.code import hash_rooms
from carbrand.training.problem import Problem
from carbrand.vectors.standardizer import portions

# Rooms whose code determines the numbers of a training.
CODE = ("parallel", "vectors", "scores", "training")
# NumPy and its OpenBLAS choose kernels by the processor and by these variables.
_PROCESSOR = ("vendor_id", "model name", "flags", "CPU part", "Features")
_VARIABLES = ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")


def hash_training(problem: Problem) -> str:
    """A hash of the data, params, code, libraries and processor, 64 hexadecimal digits.

    Reads all vectors once.
    """
    facts = {
        "params": [problem.epochs, problem.l2, problem.label_smoothing],
        "brands": problem.brands,
        "vectors": [problem.vectors.dtype.str, problem.vectors.shape],
        "software": _SOFTWARE,
        "machine": [platform.system(), platform.machine(), *_describe_processor()],
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    space = problem.space
    photos = problem.labels, problem.in_training, problem.photo_weights
    for array in (*photos, space.mean, space.scale):
        digest.update(repr((array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).data)
    for part in portions(problem.vectors):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


# At import time: the files may have changed by the time that a key is needed.
_SOFTWARE = {
    "code": hash_rooms(CODE),
    "numpy": np.__version__,
    "python": platform.python_version(),
}


def _describe_processor() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:  # not on Linux
        return [platform.processor()]
    return sorted({line for line in lines if line.startswith(_PROCESSOR)})
