"""model.h5 is a plain Keras file that holds all that prediction needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from carbrand.model.classifier import Classifier
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import POOLINGS, add_pooling
from carbrand.network.views import TEST_VIEWS, make_test_views
from carbrand.node.errors import UserError
from carbrand.photos.photo import UnreadablePhoto, open_photo, read_photo
from carbrand.training.problem import softmax
from tests.conftest import draw_photo
from tests.support.small_networks import BRANDS, LEVELS, MODEL_PX, make_small_backbone, save_model

pytestmark = pytest.mark.usefixtures("on_tensorflow")


@pytest.fixture(scope="module")
def backbone() -> Any:
    return make_small_backbone()


@pytest.fixture
def photos(tmp_path) -> list[str]:
    paths = []
    for number in range(11):  # more than a batch
        path = tmp_path / f"{number:02}.png"
        draw_photo((20 * number, 99, 250 - 20 * number), number).save(path)
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("pooling", POOLINGS)
def test_predictions_are_what_the_files_network_says(tmp_path, backbone, photos, pooling):
    path = save_model(tmp_path / "model.h5", backbone, pooling)
    classifier = Classifier(path)
    model = import_keras().models.load_model(path, compile=False)
    batch = np.stack([read_photo(photo, MODEL_PX, "pad") for photo in photos])
    expected = model.predict(batch, verbose=0)
    found = list(classifier.predict(photos))
    assert [name for name, _ in found] == photos
    probabilities = np.stack([prediction.probabilities for _, prediction in found])
    assert np.allclose(probabilities, expected, atol=1e-6)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def predict(path: Path, photos: list[str]):
    return [prediction for _, prediction in Classifier(path, heatmaps=True).predict(photos)]


def test_the_temperature_divides_the_logits_inside_the_file(tmp_path, backbone, photos):
    plain = predict(save_model(tmp_path / "plain.h5", backbone), photos)
    scaled = predict(save_model(tmp_path / "scaled.h5", backbone, temperature=2.5), photos)
    for before, after in zip(plain, scaled, strict=True):
        expected = softmax(np.log(before.probabilities.astype(np.float64)) / 2.5)
        assert np.allclose(after.probabilities, expected, atol=1e-5)
        assert not np.allclose(after.probabilities, before.probabilities, atol=1e-2)
        assert np.array_equal(after.vector, before.vector)
        assert np.allclose(after.heatmap, before.heatmap, atol=1e-5)
    assert Classifier(tmp_path / "scaled.h5").temperature == 2.5
    assert Classifier(tmp_path / "plain.h5").temperature == 1.0


@pytest.mark.parametrize("kind", TEST_VIEWS)
def test_probabilities_are_the_mean_over_the_views(tmp_path, backbone, photos, kind):
    path = save_model(tmp_path / "model.h5", backbone, test_views=kind)
    model = import_keras().models.load_model(path, compile=False)
    plain = predict(save_model(tmp_path / "plain.h5", backbone), photos)
    found = predict(path, photos)
    for photo, prediction, as_it_is in zip(photos, found, plain, strict=True):
        views = make_test_views(open_photo(photo), MODEL_PX, "pad", kind)
        expected = model.predict(views, verbose=0).mean(axis=0)
        assert np.allclose(prediction.probabilities, expected, atol=1e-6)
        # The rest is that of the photo as it is.
        assert np.allclose(prediction.vector, as_it_is.vector, atol=1e-5)
        if prediction.probabilities.argmax() == as_it_is.probabilities.argmax():
            assert np.allclose(prediction.heatmap, as_it_is.heatmap, atol=1e-5)
    if kind != "plain":
        assert not np.allclose([p.probabilities for p in found], [p.probabilities for p in plain])


@pytest.mark.parametrize("kind", TEST_VIEWS)
def test_an_unreadable_photo_shifts_no_views(tmp_path, backbone, photos, kind):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    classifier = Classifier(save_model(tmp_path / "model.h5", backbone, test_views=kind))
    unreadable: list[UnreadablePhoto] = []
    mixed = [photos[0], str(bad), *photos[1:4], str(bad), photos[4]]
    found = dict(classifier.predict(mixed, unreadable))
    assert len(unreadable) == 2
    for name, prediction in classifier.predict(photos[:5]):
        assert np.allclose(found[name].probabilities, prediction.probabilities, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_prediction_has_a_vector_and_a_heat_map(tmp_path, backbone, photos, pooling):
    """The map is what the head makes of the last maps alone, whatever else is pooled."""
    path = save_model(tmp_path / "m.h5", backbone, pooling)
    prediction = next(Classifier(path, heatmaps=True).predict(photos))[1]
    photo = read_photo(photos[0], MODEL_PX, "pad")[None]
    maps = backbone.predict(photo, verbose=0)[0]
    vector = add_pooling(backbone, pooling, LEVELS)[0].predict(photo, verbose=0)[0]
    assert np.allclose(prediction.vector, vector, atol=1e-5)
    kernel = import_keras().models.load_model(path, compile=False).get_layer("head").kernel.numpy()
    both = kernel[:4] if pooling in ("avg", "max") else kernel[:4] + kernel[4:8]
    best = prediction.probabilities.argmax()
    evidence = np.maximum(maps @ (both[:, best] - both.mean(axis=1)), 0)
    assert evidence.max() > 0
    assert prediction.heatmap.shape == (8, 8)
    assert np.allclose(prediction.heatmap, evidence / evidence.max(), atol=1e-4)


def test_the_file_knows_brands_size_and_policy(tmp_path, backbone):
    classifier = Classifier(save_model(tmp_path / "model.h5", backbone, resize="crop"))
    assert (classifier.brands, classifier.size_px, classifier.resize) == (BRANDS, MODEL_PX, "crop")
    with h5py.File(tmp_path / "model.h5") as file:
        about = json.loads(file.attrs["carbrand"])
    assert "keras" in about["versions"]
    assert (about["temperature"], about["test_views"]) == (1.0, "plain")


def test_two_files_of_one_model_have_the_same_bytes(tmp_path, backbone):
    first = save_model(tmp_path / "a.h5", backbone).read_bytes()
    assert save_model(tmp_path / "b.h5", backbone).read_bytes() == first


def test_an_unreadable_photo_is_passed_over_or_raised(tmp_path, backbone, photos):
    classifier = Classifier(save_model(tmp_path / "model.h5", backbone))
    bad = tmp_path / "bad.jpg"
    bad.write_text("no photo")
    mixed = [photos[0], str(bad), photos[1]]
    unreadable: list[UnreadablePhoto] = []
    assert [name for name, _ in classifier.predict(mixed, unreadable)] == photos[:2]
    assert len(unreadable) == 1
    with pytest.raises(UnreadablePhoto):
        list(classifier.predict(mixed))


@pytest.mark.parametrize("content", [None, b"", b"no model", "other h5", "folder"])
def test_what_is_no_model_is_one_line(tmp_path, content):
    path = tmp_path / "model.h5"
    if content == "other h5":
        h5py.File(path, "w").close()
    elif content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"Make one with `dvc repro`"):
        Classifier(path)


@pytest.mark.parametrize(
    "change",
    [
        {"brands": 5},
        {"brands": ["a"]},
        {"brands": ["a", "a", "b"]},
        {"brands": ["a", "b"]},  # the network has three outputs
        {"size_px": "x"},
        {"size_px": True},
        {"size_px": 100_000},
        {"size_px": 64},  # the network takes 32
        {"resize": "x"},
        {"temperature": 0},
        {"temperature": -1.5},
        {"temperature": "1"},
        {"temperature": True},
        {"temperature": None},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"test_views": "all"},
        {"test_views": ["plain"]},
        {"test_views": None},
        None,
    ],
)
def test_a_model_that_contradicts_itself_is_refused(tmp_path, backbone, change):
    path = save_model(tmp_path / "model.h5", backbone)
    with h5py.File(path, "r+") as file:
        about = json.loads(file.attrs["carbrand"])
        file.attrs["carbrand"] = json.dumps(about | change if change else [])
    with pytest.raises(UserError, match="is not a model that this project wrote"):
        Classifier(path)


def test_a_network_of_other_layers_is_refused(tmp_path, backbone):
    path = save_model(tmp_path / "model.h5", backbone)
    with h5py.File(path, "r+") as file:
        config = file.attrs["model_config"].replace('"Dense"', '"Lambda"')
        file.attrs["model_config"] = config
    with pytest.raises(UserError, match="is not a model that this project wrote"):
        Classifier(path)


def test_a_model_under_another_name_is_one_line(tmp_path, backbone):
    path = save_model(tmp_path / "model.h5", backbone).rename(tmp_path / "model.bin")
    with pytest.raises(UserError, match=r"must be named .h5"):
        Classifier(path)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_takes_means_and_maxima_and_says_how_many(backbone, pooling):
    keras = import_keras()
    batch = np.random.default_rng(0).integers(0, 256, (2, MODEL_PX, MODEL_PX, 3))
    last = backbone.predict(batch, verbose=0)
    inner = keras.Model(backbone.inputs, backbone.get_layer("early").output)
    early = inner.predict(batch, verbose=0).max(axis=(1, 2))
    avg, highest = last.mean(axis=(1, 2)), last.max(axis=(1, 2))
    parts = {
        "avg": [avg],
        "max": [highest],
        "avg_max": [avg, highest],
        "levels": [avg, highest, early],
    }[pooling]
    network, widths = add_pooling(backbone, pooling, LEVELS)
    found = network.predict(batch, verbose=0)
    assert np.allclose(found, np.concatenate(parts, axis=1), atol=1e-5)
    assert widths == [part.shape[1] for part in parts]


def test_one_photo_is_one_and_a_path_may_be_a_text(tmp_path, backbone, photos):
    classifier = Classifier(str(save_model(tmp_path / "model.h5", backbone)))
    ((name, expected),) = classifier.predict([photos[0]])
    assert name == photos[0]
    opened = open_photo(photos[0])
    for given in (photos[0], Path(photos[0]), opened, np.asarray(opened), [np.asarray(opened)]):
        ((_, found),) = classifier.predict(given)
        assert np.array_equal(found.probabilities, expected.probabilities)


def test_heat_maps_are_computed_where_they_are_wanted_and_change_nothing_else(
    tmp_path, backbone, photos
):
    path = save_model(tmp_path / "model.h5", backbone)
    with_map, without = Classifier(path, heatmaps=True), Classifier(path)
    for (_, one), (_, other) in zip(with_map.predict(photos), without.predict(photos), strict=True):
        assert (one.heatmap.shape, other.heatmap.shape) == ((8, 8), (0, 0))
        assert np.array_equal(one.probabilities, other.probabilities)
        assert np.array_equal(one.vector, other.vector)


def test_unreadable_photos_take_their_turn_and_hold_no_memory(tmp_path, backbone, photos):
    classifier = Classifier(save_model(tmp_path / "model.h5", backbone))
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo" * 1000)
    mixed = [str(bad), photos[0], str(bad), str(bad), photos[1], str(bad)]
    outcomes = list(classifier.predict_each(mixed))
    assert [name for name, _ in outcomes] == mixed
    for name, outcome in outcomes:
        assert isinstance(outcome, UnreadablePhoto) == (name == str(bad))
        if isinstance(outcome, UnreadablePhoto):
            # Either would keep the bytes of the file.
            assert outcome.__traceback__ is None
            assert outcome.__context__ is None
