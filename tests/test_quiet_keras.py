"""Keras comes without noise, repeatable, and as the user's environment asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carbrand.errors import UserError
from carbrand.quiet_keras import _NOISE, import_keras

WORK = """
import sys
import carbrand.quiet_keras
assert not {"keras", "tensorflow", "numpy"} & set(sys.modules), "imported early"
keras = carbrand.quiet_keras.import_keras()
assert keras is carbrand.quiet_keras.import_keras()
assert not {"matplotlib", "pandas", "sklearn"} & set(sys.modules), "imported needlessly"
import matplotlib
import numpy as np
from tensorflow.python.framework import config as tf_config
assert keras.backend.backend() == "tensorflow"
assert tf_config.is_op_determinism_enabled()
model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="y")])
model.predict(np.zeros((3, 2)), verbose=0)
model.save(sys.argv[1])
keras.models.load_model(sys.argv[1])
print("done")
sys.stderr.write("seen")
"""


def run(path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_"))}
    command = [sys.executable, "-c", WORK, path]
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, timeout=120
    )


def test_nothing_but_what_the_program_says_reaches_the_terminal(tmp_path: Path) -> None:
    done = run(f"{tmp_path}/m.h5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "seen")


def test_a_user_who_asks_for_the_log_gets_it(tmp_path: Path) -> None:
    done = run(f"{tmp_path}/m.h5", TF_CPP_MIN_LOG_LEVEL="0")
    assert done.stdout == "done\n"
    assert len(done.stderr.splitlines()) > 1


def test_another_backend_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(UserError, match="KERAS_BACKEND is jax, expected tensorflow"):
        import_keras()


@pytest.mark.parametrize(
    ("line", "noise"),
    [
        (b"I0000 00:00:1795367695.212002    8035 cpu_feature_guard.cc:227] This TensorFlow", True),
        (b"W0000 00:00:1795367695.212002    8035 gpu.cc:1] Cannot dlopen some GPU", True),
        (b"2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN", True),
        (b"WARNING: All log messages before absl::InitializeLog() is called are", True),
        (b"To enable the following instructions: AVX2 AVX512F", True),
        (b"E0000 00:00:1795367850.872067    8390 cuda.cc:1] failed call to cuInit", False),
        (b"2026-01-02 03:04:05.678901: E tensorflow/core/a.cc:1] broken", False),
        (b"F0000 00:00:1795367850.872067    8390 a.cc:1] cannot go on", False),
        (b"ImportError: libcudart.so.12: cannot open shared object file", False),
        (b"WARNING: your disk is full", False),
        (b"Illegal instruction", False),
    ],
)
def test_only_known_chatter_counts_as_noise(line: bytes, noise: bool) -> None:
    assert bool(_NOISE.match(line)) is noise
