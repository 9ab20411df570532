"""The number of cores shows in no bit."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from carbrand.network.engines import open_engine
from carbrand.network.network_file import read_network
from tests.conftest import ROOT, run
from tests.small_networks import draw, save_lite0, save_small_network

# Prints a digest of all that a head is, however many cores there are.
HEAD = """
import hashlib, os, sys
photos, views, width, cores = map(int, sys.argv[1:5])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
import numpy as np
from carbrand.training.head import HeadParams, assign_folds, balance, train_head

labels = np.arange(photos) % 3
folds = assign_folds(labels, [str(number) for number in range(photos)], 5, 0)
digest = hashlib.sha256()
for seed in range(int(sys.argv[6])):
    noise = np.random.default_rng(seed).normal(0, 1, (photos, views, width))
    vectors = (3 * np.eye(3, width)[labels][:, None] + noise).astype(np.float32)
    params = HeadParams(sys.argv[5], int(sys.argv[7]), 32, 0.1, 0.0003, 0.1, 0)
    head = train_head(vectors, labels, folds, balance(labels, 3), 3, [width], params)
    for array in (head.kernel, head.bias, head.held_out_logits):
        digest.update(array.tobytes())
    for epoch in head.history:
        digest.update(repr([float(value) for value in vars(epoch).values()]).encode())
print(digest.hexdigest())
"""


@pytest.mark.parametrize(
    ("photos", "views", "width", "solver", "seeds", "epochs"),
    [
        (64, 4, 3072, "lbfgs", 2, 50),
        (3000, 1, 600, "lbfgs", 1, 10),
        (3000, 1, 600, "adam", 1, 1),
    ],
)
def test_the_number_of_cores_does_not_show_in_a_head(
    tmp_path, photos, views, width, solver, seeds, epochs
):
    digests = set()
    for cores in (1, 2):
        numbers = map(str, (photos, views, width, cores, solver, seeds, epochs))
        threads = {name: str(cores) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
        environment = {"PYTHONPATH": os.fspath(ROOT), **threads}
        result = run([sys.executable, "-c", HEAD, *numbers], tmp_path, environment)
        assert result.returncode == 0, result.stderr
        digests.add(result.stdout)
    assert len(digests) == 1


# Prints a digest of what is believed, however many cores there are.
BELIEF = """
import hashlib, os, sys
photos, views, width, cores = map(int, sys.argv[1:])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
import numpy as np
from carbrand.training.suspects import believe

labels = np.arange(photos) % 3
noise = np.random.default_rng(0).normal(0, 1, (photos, views, width))
vectors = (3 * np.eye(3, width)[labels][:, None] + noise).astype(np.float32)
believed = believe(vectors, labels, [str(number) for number in range(photos)], 3, [width])
print(hashlib.sha256(believed.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("shape", [(64, 4, 3072), (3000, 1, 600)])
def test_the_number_of_cores_does_not_show_in_what_is_believed(tmp_path, shape):
    digests = set()
    for cores in (1, 2):
        threads = {name: str(cores) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
        command = [sys.executable, "-c", BELIEF, *map(str, (*shape, cores))]
        result = run(command, tmp_path, {"PYTHONPATH": os.fspath(ROOT), **threads})
        assert result.returncode == 0, result.stderr
        digests.add(result.stdout)
    assert len(digests) == 1


VECTORS = """
import hashlib, os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
from pathlib import Path
from carbrand.network.engines import open_engine
from carbrand.network.network_file import read_network
from tests.small_networks import SMALL_OUTPUTS, draw
assert "openvino" not in sys.modules

watched = []
def watch(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.", "subprocess.", "os.mkdir", "os.rename")):
        watched.append((event, *map(str, arguments)))
    if event == "open" and str(arguments[0]).startswith(os.environ["HOME"]):
        watched.append((event, *map(str, arguments)))
sys.addaudithook(watch)

small, large = map(Path, sys.argv[1:])
assert len(list(open_engine("openvino", read_network(small), SMALL_OUTPUTS)([draw(0, 32)]))) == 1
digest = hashlib.sha256()
network = read_network(large)
for (vector,) in open_engine("openvino", network, ["pool"])([draw(number) for number in range(9)]):
    digest.update(vector.tobytes())
assert not watched, watched
assert not {"openvino_telemetry", "keras", "tensorflow"} & set(sys.modules)
print(digest.hexdigest())
"""


def on_one_core(home: Path, *networks: Path) -> str:
    """What a process of one core prints, if nothing else comes out of it."""
    home.mkdir()
    # On CI telemetry would be off by itself.
    environment = {"HOME": str(home), "PYTHONPATH": str(ROOT)} | dict.fromkeys(
        ("CI", "TF_BUILD"), ""
    )
    done = run([sys.executable, "-c", VECTORS, *map(str, networks)], ROOT, environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (home / "intel").exists()  # where its makers' telemetry keeps its number
    return done.stdout.strip()


@pytest.mark.usefixtures("on_tensorflow")
@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs OpenVINO")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are not to be limited here")
def test_vectors_do_not_depend_on_cores_and_nothing_is_sent_written_or_said(tmp_path: Path) -> None:
    small, lite0 = save_small_network(tmp_path / "small.h5"), save_lite0(tmp_path / "lite0.h5")
    digest = hashlib.sha256()
    for (vector,) in open_engine("openvino", read_network(lite0), ["pool"])(map(draw, range(9))):
        digest.update(vector.tobytes())
    assert on_one_core(tmp_path / "home", small, lite0) == digest.hexdigest()
