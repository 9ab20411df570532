"""What is saved here opens with plain Keras elsewhere, and gives the same."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from carbrand.model.classifier import Classifier
from carbrand.network.backbones import build_backbone
from carbrand.photos.photo import read_photo
from tests.conftest import ROOT, draw_photo, run
from tests.support.small_networks import MODEL_PX, SIZE_PX, draw, make_small_backbone, save_model

# Opens each file and keeps what it gives; where there is neither this project nor OpenVINO, but
# for the last line.
ELSEWHERE = """
import sys
sys.modules["openvino"] = None  # Python's way to say "not there"
import keras, numpy as np
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    modules = {type(layer).__module__.partition(".")[0] for layer in model.layers}
    assert not modules & {"carbrand", "stages"}
    photos = np.load(path.replace(".h5", ".photos.npy"))
    np.save(path.replace(".h5", ".npy"), model.predict(photos, verbose=0))
    print(model.input_shape, model.output_shape)
from carbrand.network.backbones import build_backbone
build_backbone("efficientnet_lite0", 64, "imagenet").save("again.h5")
"""


@pytest.mark.usefixtures("on_tensorflow")
# Keras's own, once for every array it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_models_and_a_backbone_open_with_plain_keras_and_are_saved_as_the_same_bytes(tmp_path):
    names = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, name in enumerate(names):
        draw_photo((20 * number, 99, 250 - 20 * number), number).save(name)
    photos = {
        pooling: np.stack([read_photo(name, MODEL_PX, "pad") for name in names])
        for pooling in ("avg_max", "levels")
    }
    for pooling in photos:
        save_model(tmp_path / f"{pooling}.h5", make_small_backbone(), pooling)
    photos["lite0"] = np.stack([draw(number) for number in range(3)])
    lite0 = build_backbone("efficientnet_lite0", SIZE_PX, "imagenet")
    lite0.save(tmp_path / "lite0.h5")
    for name, batch in photos.items():
        np.save(tmp_path / f"{name}.photos.npy", batch)

    command = [sys.executable, "-c", ELSEWHERE, *(f"{name}.h5" for name in photos)]
    done = run(command, tmp_path, {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    model, backbone = "(None, 32, 32, 3) (None, 3)", "(None, 64, 64, 3) (None, 2, 2, 1280)"
    assert done.stdout.splitlines() == [model, model, backbone]
    found = {name: np.load(tmp_path / f"{name}.npy") for name in photos}
    for pooling in ("avg_max", "levels"):
        predicted = Classifier(tmp_path / f"{pooling}.h5").predict(names)
        here = [prediction.probabilities for _, prediction in predicted]
        np.testing.assert_allclose(found[pooling], here, atol=1e-5)
    here = lite0.predict(photos["lite0"], verbose=0)
    np.testing.assert_allclose(found["lite0"], here, atol=1e-5)
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "lite0.h5").read_bytes()
