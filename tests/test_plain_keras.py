"""What is saved here opens with plain Keras elsewhere, and gives the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from carbrand.model.classifier import Classifier
from carbrand.network.backbones import build_backbone
from carbrand.photos.photo import read_photo
from tests.conftest import draw_photo, run
from tests.small_networks import MODEL_PX, SIZE_PX, draw, make_small_backbone, save_model

pytestmark = [
    pytest.mark.usefixtures("on_tensorflow"),
    # Keras's own, once for every array it saves.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("pooling", ["avg_max", "levels"])
def test_a_model_opens_with_plain_keras_elsewhere(tmp_path, pooling):
    """Where there is neither this project nor OpenVINO, the same comes out."""
    path = save_model(tmp_path / "model.h5", make_small_backbone(), pooling)
    photos = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, photo in enumerate(photos):
        draw_photo((20 * number, 99, 250 - 20 * number), number).save(photo)
    np.save(tmp_path / "photos.npy", [read_photo(photo, MODEL_PX, "pad") for photo in photos])
    program = """
import sys
sys.modules["openvino"] = None
import keras, numpy as np
model = keras.models.load_model("model.h5")
assert not any(type(layer).__module__.startswith(("carbrand", "stages")) for layer in model.layers)
assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 3))
np.save("probabilities.npy", model.predict(np.load("photos.npy"), verbose=0))
"""
    result = run([sys.executable, "-c", program], tmp_path, env={"KERAS_BACKEND": "tensorflow"})
    assert result.returncode == 0, result.stderr
    here = [prediction.probabilities for _, prediction in Classifier(path).predict(photos)]
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), here, atol=1e-5)


IN_A_FRESH_PROCESS = """
import hashlib, sys
from pathlib import Path
import numpy as np
folder, saved = Path(sys.argv[1]), sys.argv[2]
import keras  # and nothing of ours
features = keras.models.load_model(saved).predict(np.load(folder / "photos.npy"), verbose=0)
np.save(folder / "features.npy", features)
from carbrand.network.backbones import build_backbone
build_backbone("efficientnet_lite0", 64, "imagenet").save(folder / "again.h5")
"""


def test_a_saved_backbone_opens_with_plain_keras_and_is_saved_elsewhere_as_the_same_bytes(
    tmp_path: Path,
) -> None:
    lite0 = build_backbone("efficientnet_lite0", SIZE_PX, "imagenet")
    saved = tmp_path / "lite0.h5"
    lite0.save(saved)
    photos = np.stack([draw(number) for number in range(3)])
    np.save(tmp_path / "photos.npy", photos)
    command = [sys.executable, "-c", IN_A_FRESH_PROCESS, str(tmp_path), str(saved)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    features = np.load(tmp_path / "features.npy")
    np.testing.assert_allclose(features, lite0.predict(photos, verbose=0), atol=1e-5)
    assert (tmp_path / "again.h5").read_bytes() == saved.read_bytes()
