"""model.h5 says of a photo whether it is unknown, and which brands it may be; Keras opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from carbrand.model.classifier import Classifier, describe
from carbrand.model.model_file import read_metadata, read_rules
from carbrand.network.keras_import import import_keras
from carbrand.node.errors import UserError
from carbrand.photos.photo import read_photo
from carbrand.scores.conformal import SetRule
from carbrand.scores.unknown import BrandSpace, UnknownRule, calibrate_unknown
from tests.conftest import draw_photo
from tests.support.small_networks import BRANDS, MODEL_PX, make_small_backbone, save_model

pytestmark = pytest.mark.usefixtures("on_tensorflow")
SETS = SetRule(0.9, 0.2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(12):
        draw_photo((20 * number, 99, 250 - 20 * number), number).save(folder / f"{number:02}.png")
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def backbone() -> Any:
    return make_small_backbone()


@pytest.fixture(scope="module")
def rule(tmp_path_factory, backbone, photos) -> UnknownRule:
    """Learned from what the network sees of the photos."""
    plain = Classifier(save_model(tmp_path_factory.mktemp("plain") / "m.h5", backbone))
    found = [prediction for _, prediction in plain.predict(photos)]
    vectors = np.stack([prediction.vector for prediction in found])
    space = BrandSpace.fit(vectors, np.arange(12) % 3, [len(vectors[0])])
    probabilities = np.stack([prediction.probabilities for prediction in found])
    made = calibrate_unknown(space, space.distances(vectors), probabilities, 0.2)
    assert made is not None
    return made


@pytest.fixture
def model(tmp_path, backbone, rule) -> Path:
    return save_model(tmp_path / "model.h5", backbone, unknown=rule, sets=SETS)


def test_the_rules_come_back_as_they_were_written(model, rule):
    unknown, sets = read_rules(model, len(rule.space.mean))
    assert sets == SETS
    assert unknown is not None
    assert (unknown.weights, unknown.share) == (rule.weights, rule.share)
    for name, array in vars(rule.space).items():
        assert np.array_equal(getattr(unknown.space, name), array), name


def test_a_photo_like_no_other_is_unknown_and_the_others_are_not(tmp_path, model, photos):
    noise = np.random.default_rng(0).integers(0, 256, (MODEL_PX, MODEL_PX, 3), np.uint8)

    Image.fromarray(noise).save(tmp_path / "noise.png")
    classifier = Classifier(model)
    found = [p for _, p in classifier.predict([*photos, str(tmp_path / "noise.png")])]
    assert found[-1].unknown
    assert sum(prediction.unknown for prediction in found[:-1]) <= 3
    record = describe(found[-1], BRANDS)
    assert record["unknown"] is True
    assert record["unknown_score"] == found[-1].unknown_score
    assert record["unknown_score"] > 1
    assert record["unknown_score"] > 1
    json.dumps(record)


def test_the_set_holds_the_brands_that_are_probable_enough(model, photos):
    for _, prediction in Classifier(model).predict(photos):
        probable = {b for b, p in zip(BRANDS, prediction.probabilities, strict=True) if p >= 0.2}
        assert set(prediction.brand_set) == probable | {BRANDS[prediction.probabilities.argmax()]}


def test_a_model_without_rules_makes_no_sets_and_calls_nothing_unknown(tmp_path, backbone, photos):
    classifier = Classifier(save_model(tmp_path / "old.h5", backbone))
    _, prediction = next(iter(classifier.predict(photos)))
    assert (prediction.unknown_score, prediction.unknown) == (None, False)
    assert describe(prediction, BRANDS)["set"] == []


def test_stock_keras_opens_the_file_and_predicts_the_same(model, photos):
    """As it does in a process that cannot have imported this project: see test_plain_keras.py."""
    opened = import_keras().models.load_model(model)
    modules = {type(layer).__module__.partition(".")[0] for layer in opened.layers}
    assert modules == {"keras"}
    found = opened.predict(
        np.stack([read_photo(photo, MODEL_PX, "pad") for photo in photos]), verbose=0
    )
    expected = [prediction.probabilities for _, prediction in Classifier(model).predict(photos)]
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("fault", ["missing", "shape", "not finite", "weights", "doubles", "link"])
def test_damaged_rules_are_refused(model, fault):
    with h5py.File(model, "r+") as file:
        metadata = json.loads(file.attrs["carbrand"])
        means = file["carbrand_space/means"][()]
        del file["carbrand_space/means"]
        if fault == "shape":
            means = means[:2]
        elif fault == "not finite":
            means[0, 0] = np.nan
        elif fault == "weights":
            metadata["unknown"]["weights"] = [1.0, "2", 3.0]
        if fault == "link":
            file["carbrand_space/means"] = h5py.SoftLink("/carbrand_space/mean")
        elif fault != "missing":
            kind = "<f8" if fault == "doubles" else "<f4"
            file.create_dataset("carbrand_space/means", data=means, dtype=kind)
        file.attrs["carbrand"] = json.dumps(metadata)
    with pytest.raises(UserError, match=r"model\.h5 is not"):
        Classifier(model)


def test_the_rules_are_part_of_the_metadata(model, rule):
    metadata = read_metadata(model)
    assert metadata["sets"] == {"level": 0.9, "least": 0.2}
    assert metadata["unknown"] == {
        "share": 0.2,
        "weights": list(rule.weights),
        "components": rule.space.axes.shape[1],
    }
