"""`from carbrand import load`: the digits of the command, from a program."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import carbrand
from carbrand import load
from carbrand.cli import main
from carbrand.model.classifier import Classifier
from carbrand.model.heatmap import align_with_photo
from carbrand.model.loaded_model import Model, Result
from carbrand.node.errors import UserError
from carbrand.photos.photo import UnreadablePhoto
from tests.conftest import ROOT, draw_photo, run

MODEL = "artifacts/finetune/model.h5"


@pytest.fixture(scope="module")
def model(_finished) -> Model:
    return load(_finished / MODEL)


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        draw_photo((200 - 80 * number, 30, 30 + 80 * number), number, (64, 48)).save(path)
    return paths


def as_record(result: Result) -> dict[str, object]:
    """As `carbrand predict --json` prints it."""
    names = ("path", "brand", "confidence", "probabilities", "unknown", "unknown_score")
    return {name: getattr(result, name) for name in names} | {"set": list(result.brand_set)}


def test_the_digits_are_those_of_the_command(model, photos, capsys):
    names = [path.as_posix() for path in photos]
    assert main(["predict", "--json", *names, "--model", str(model.path)]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [as_record(result) for result in model.predict(photos)] == records
    assert [list(r["probabilities"]) for r in records] == [
        list(result.probabilities) for result in model.predict(photos)
    ]


def test_one_photo_gives_one_result_and_several_a_list_however_they_are_given(model, photos):
    expected = as_record(model.predict(photos[0])) | {"path": ""}
    image = Image.open(photos[0])
    array = np.asarray(image)
    for one in (str(photos[0]), photos[0], photos[0].read_bytes(), image, array, array / 255):
        result = model.predict(one)
        assert isinstance(result, Result)
        assert as_record(result) | {"path": ""} == expected
    for many in (
        [photos[0]],
        (str(p) for p in photos[:1]),
        array[None],
        [array],
        np.array([image]),
    ):
        (result,) = model.predict(many)
        assert as_record(result) | {"path": ""} == expected
    assert model.predict([]) == []


def test_what_cannot_be_read_is_told_one_way_for_one_and_another_for_several(model, photos):
    bad = photos[0].with_name("bad.jpg")
    bad.write_text("no photo")
    with pytest.raises(UnreadablePhoto, match=r"bad\.jpg is not a readable photo \(none of JPEG"):
        model.predict(bad)
    good, unreadable, missing = model.predict([photos[0], bad, "none.jpg"])
    assert (good.error, good.brand != "") == ("", True)
    assert unreadable.error.startswith("none of JPEG")
    assert (unreadable.brand, unreadable.probabilities) == ("", {})
    assert (missing.path, missing.error) == ("none.jpg", "No such file or directory")
    with pytest.raises(ValueError, match="got an array of shape"):
        model.predict(np.zeros((3, 8, 8)))
    with pytest.raises(TypeError, match="expected a path"):
        model.predict(None)


def test_any_number_of_photos_is_read_one_after_the_other(model, photos):
    read = 0

    def many():
        nonlocal read
        for _ in range(1000):
            read += 1
            yield photos[0]

    results = model.predict_each(many())
    assert next(results).brand
    assert read < 100
    results.close()


def test_a_heat_map_is_there_when_it_is_asked_for_and_lies_over_the_whole_photo(model, photos):
    plain, mapped = model.predict(photos[0]), model.predict(photos[0], heatmaps=True)
    assert plain.heatmap is None
    assert plain == mapped  # in all else
    classifier = Classifier(model.path, heatmaps=True)
    ((_, prediction),) = classifier.predict(photos[0])
    expected = align_with_photo(prediction.heatmap, 64, 48, classifier.resize)
    np.testing.assert_array_equal(mapped.heatmap, expected)


def test_a_heat_map_is_never_of_a_model_that_came_later(model, photos, tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(model.path.read_bytes())
    loaded = load(str(path))
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(UserError, match="changed since it was loaded"):
        loaded.predict(photos[0], heatmaps=True)


def test_without_a_name_it_is_the_model_that_ships(model, photos, monkeypatch):
    project = model.path.parents[2]
    monkeypatch.chdir(project)
    assert load().predict(photos) == load(project=project).predict(photos)
    assert load().brands == ("asta", "bolt", "cirro")
    monkeypatch.chdir(photos[0].parent)
    with pytest.raises(UserError, match=r"model\.h5 does not exist"):
        load()
    with pytest.raises(UserError, match="is not a file"):
        load("nothing-of-the-kind", project)


def test_importing_carbrand_imports_nothing_heavy():
    heavy = ("numpy", "PIL", "h5py", "scipy", "openvino", "tensorflow", "keras", "dvc", "rich")
    code = f"import sys; from carbrand import load; print([n for n in {heavy} if n in sys.modules])"
    done = run([sys.executable, "-c", code], ROOT)
    assert done.stdout == "[]\n", done.stderr
    assert not hasattr(carbrand, "nothing")


def test_the_examples_of_the_page_run(finished, photos, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    (finished / "photos").mkdir()
    for number, path in enumerate(photos):
        Image.open(path).save(finished / "photos" / f"{number}.jpg")
    Image.open(photos[0]).save("photo.jpg")
    text = (ROOT / "docs/python.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert len(names["results"]) == 3  # type: ignore[arg-type]
    assert capsys.readouterr().out.count("photos/") == 3
    assert names["result"].heatmap is not None  # type: ignore[attr-defined]
