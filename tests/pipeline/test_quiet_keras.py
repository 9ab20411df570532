"""Keras comes without noise, repeatable, and with TensorFlow only where that is needed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from carbrand.network.inference.engines import _GPU_DEVICES, open_engine
from carbrand.network.keras_import import import_keras
from carbrand.network.weights.network_file import read_network
from tests.conftest import ROOT, draw_dataset, edit_params, run, save_backbone
from tests.support.running import in_torture

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="needs OpenVINO"
)

WORK = """
import sys
import carbrand.network.keras_import
assert not {"keras", "tensorflow", "openvino"} & set(sys.modules), "imported early"
keras = carbrand.network.keras_import.import_keras()
assert keras is carbrand.network.keras_import.import_keras()
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


LOOK = """
from carbrand.network.keras_import import import_keras
import_keras().ops.zeros(1)
print("done")
"""


def work(code: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_"))}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, timeout=120
    )


def test_nothing_but_what_the_program_says_reaches_the_terminal(tmp_path: Path) -> None:
    done = work(WORK, f"{tmp_path}/m.h5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "seen")


@in_torture  # it imports TensorFlow for a log
def test_a_user_who_asks_for_the_log_gets_it() -> None:
    done = work(LOOK, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.stdout == "done\n"
    assert len(done.stderr.splitlines()) > 1


BUILD = """
import sys
from pathlib import Path
from carbrand.network.keras_import import import_keras_to_build
keras = import_keras_to_build()
assert keras is import_keras_to_build()
from carbrand.network.backbones import build_backbone, levels_of
from carbrand.network.pooling import add_pooling
backbone = build_backbone("efficientnet_lite0", 64, "imagenet")
add_pooling(backbone, "levels", levels_of(backbone))[0].save(sys.argv[1])
assert not {"matplotlib", "pandas", "sklearn"} & set(sys.modules), "imported needlessly"
assert not any(name.startswith("tensorflow.") for name in sys.modules)
print("done")
"""


@in_torture  # it builds with either
@needs_openvino
@pytest.mark.usefixtures("on_tensorflow")
def test_what_is_built_without_tensorflow_gives_the_same_with_it(tmp_path: Path) -> None:
    network = tmp_path / "network.h5"
    done = run([sys.executable, "-c", BUILD, str(network)], ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    photos = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    there = np.asarray(import_keras().models.load_model(network, compile=False)([photos]))
    engine = open_engine("openvino", read_network(network), ["pool"])
    here = np.stack([vector for (vector,) in engine(photos)])
    lengths = np.linalg.norm(there, axis=1)
    assert (np.linalg.norm(here - there, axis=1) <= 1e-5 * lengths).all()
    assert len(np.unique(there, axis=0)) == 3


REBUILD = """
import sys
from carbrand.network.keras_import import import_keras_to_build
keras = import_keras_to_build()
from carbrand.network.backbones import build_backbone
from carbrand.network.pooling import add_pooling
for again in ("network.h5", "again.h5"):
    add_pooling(build_backbone(sys.argv[1], 32, "imagenet"), "avg", ())[0].save(again)
keras.models.load_model("network.h5", compile=False).save("third.h5")
print("done")
"""


@needs_openvino
@pytest.mark.usefixtures("on_tensorflow")
def test_a_network_of_ones_own_is_rebuilt_without_tensorflow(tmp_path: Path) -> None:
    keras = import_keras()
    photos = keras.Input((32, 32, 3))
    x = keras.layers.LayerNormalization()(keras.layers.Conv2D(5, 3)(photos))
    model = keras.Model(photos, keras.layers.Activation("gelu")(x))
    model.save(tmp_path / "mine.keras")
    done = run([sys.executable, "-c", REBUILD, "mine.keras"], tmp_path, {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    files = [tmp_path / name for name in ("network.h5", "again.h5", "third.h5")]
    assert files[0].read_bytes() == files[1].read_bytes()
    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = np.asarray(model(photo[None].astype("f4"))).mean(axis=(0, 1, 2))
    for file in files:
        ((vector,),) = open_engine("openvino", read_network(file), ["pool_avg"])([photo])
        np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-5)


# Runs a module as `python -m` does, and says at the end which of these it needed.
DRIVER = """
import runpy, sys
module, said, *arguments = sys.argv[1:]
sys.argv[1:] = arguments
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    needed = [n for n in ("keras", "openvino", "tensorflow") if sys.modules.get(n)]
    open(said, "w").write(" ".join(needed))
"""


def needed_by(folder: Path, module: str, *arguments: str) -> set[str]:
    """Which of the large packages a fresh process imports that runs a module in `folder`."""
    command = [sys.executable, "-c", DRIVER, module, str(folder / "needed"), *arguments]
    done = run(command, folder, {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return set((folder / "needed").read_text().split())


def needed_by_node(folder: Path, node: str) -> set[str]:
    """The same of a node, started as dvc.yaml starts it."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    _, _, module, *arguments = stages[node]["cmd"].split()
    return needed_by(folder, module, *arguments)


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos and params in which `validate` ran."""
    folder = tmp_path_factory.mktemp("project")
    draw_dataset(folder / "Datasets")
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    edit_params(folder, features__backbone=save_backbone(folder), features__size_px=64)
    edit_params(folder, features__views=2, train__epochs=5)
    assert needed_by_node(folder, "validate") == set()
    return folder


@pytest.fixture(scope="module")
def of_openvino(validated: Path) -> np.ndarray:
    """The vectors of `validated` where OpenVINO looked."""
    edit_params(validated, features__engine="openvino")
    assert needed_by_node(validated, "features") == {"keras", "openvino"}
    return np.load(validated / "artifacts/features/vectors.npy")


@needs_openvino
@pytest.mark.usefixtures("of_openvino")
def test_no_node_imports_tensorflow_where_openvino_looks(validated: Path) -> None:
    assert needed_by_node(validated, "train") == {"keras", "openvino"}
    assert needed_by_node(validated, "finetune") == set()  # few photos: handed on
    if not any(Path(device).exists() for device in _GPU_DEVICES):
        assert needed_by_node(validated, "evaluate") == {"openvino"}
        assert needed_by(validated, "carbrand.cli", "predict", "Datasets/test") == {"openvino"}


@in_torture  # in every run, test_engines.py compares
@needs_openvino
def test_where_keras_looks_the_vectors_are_the_same_to_1e_4(
    validated: Path, of_openvino: np.ndarray, tmp_path: Path
) -> None:
    one, folder = of_openvino, Path(shutil.copytree(validated, tmp_path / "project"))
    edit_params(folder, features__engine="keras")
    assert "tensorflow" in needed_by_node(folder, "features")
    other = np.load(folder / "artifacts/features/vectors.npy")
    assert one.shape == other.shape
    assert not np.array_equal(one, other)  # those of one were not kept for the other
    off = np.linalg.norm(one - other, axis=-1) / np.linalg.norm(other, axis=-1)
    assert off.max() <= 1e-4
    assert "keras" in needed_by_node(folder, "train")


@needs_openvino
@pytest.mark.skipif(
    sys.platform != "linux" or any(Path(device).exists() for device in _GPU_DEVICES),
    reason="only TensorFlow knows whether it can use a GPU",
)
def test_the_question_for_the_engine_needs_no_tensorflow() -> None:
    ask = (
        "import sys; from carbrand.network.inference.engines import choose; print(choose('auto'));"
    )
    ask += "assert not {'tensorflow', 'keras', 'openvino'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "openvino\n"


def test_the_check_does_not_import_tensorflow() -> None:
    code = (
        "import sys; from carbrand.network.backbones import check_weights; "
        "check_weights('efficientnet_lite2', 'imagenet'); "
        "heavy = {'tensorflow', 'keras', 'openvino'}; "
        "print(heavy & {*sys.modules}, [name for name in sys.modules if 'pytorch' in name])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set() []\n"
