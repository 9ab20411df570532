"""The number of cores shows in no bit."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from carbrand.network.inference.engines import open_engine
from carbrand.network.weights.network_file import read_network
from tests.conftest import ROOT, run
from tests.support.small_networks import draw, save_lite0, save_small_network

# Prints digests of all that heads are, and of what is predicted of photos, however many cores there
# are.
LEARNED = """
import hashlib, os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
import numpy as np
from carbrand.training.head import HeadParams, assign_folds, balance, train_head
from carbrand.training.suspects import predict_leave_one_out

def draw(photos, views, width, seed):
    labels = np.arange(photos) % 3
    noise = np.random.default_rng(seed).normal(0, 1, (photos, views, width))
    return (3 * np.eye(3, width)[labels][:, None] + noise).astype(np.float32), labels

def learn(photos, views, width, seed, epochs):
    vectors, labels = draw(photos, views, width, seed)
    folds = assign_folds(labels, [str(number) for number in range(photos)], 5, 0)
    params = HeadParams(epochs, 0.0003, 0.1)
    head = train_head(vectors, labels, folds, balance(labels, 3), 3, [width], params)
    for array in (head.kernel, head.bias, head.held_out_logits):
        yield array.tobytes()
    for epoch in head.history:
        yield repr([float(value) for value in vars(epoch).values()]).encode()

def believed(photos, views, width):
    vectors, labels = draw(photos, views, width, 0)
    alone = [str(number) for number in range(photos)]
    yield predict_leave_one_out(vectors, labels, alone, 3, [width]).tobytes()

def say(what, parts):
    print(what, hashlib.sha256(b"".join(parts)).hexdigest())

say("few photos", learn(64, 4, 3072, 0, 50))
say("few photos of another seed", learn(64, 4, 3072, 1, 50))
say("many photos", learn(3000, 1, 600, 0, 10))
say("suspects among few photos", believed(64, 4, 3072))
say("suspects among many photos", believed(3000, 1, 600))
"""


def test_the_number_of_cores_does_not_show_in_what_is_learned_and_believed(tmp_path):
    said = []
    for cores in ("1", "2"):
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), cores)
        environment = {"PYTHONPATH": os.fspath(ROOT), **threads}
        result = run([sys.executable, "-c", LEARNED, cores], tmp_path, environment)
        assert result.returncode == 0, result.stderr
        said.append(result.stdout.splitlines())
    assert len(said[0]) == 5
    assert said[0] == said[1]


VECTORS = """
import hashlib, os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
from pathlib import Path
from carbrand.network.inference.engines import open_engine
from carbrand.network.weights.network_file import read_network
from tests.support.small_networks import SMALL_OUTPUTS, draw
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
