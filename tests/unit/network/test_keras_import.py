"""What is noise, and which backend there is."""

from __future__ import annotations

import sys

import pytest

from carbrand.network.keras_import import _NOISE, import_keras
from carbrand.node.errors import UserError


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
