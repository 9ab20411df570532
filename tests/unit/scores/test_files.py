"""The small files between the nodes come back as they were written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from carbrand.node.files.metrics_file import write_metrics
from carbrand.node.files.table import read_table
from carbrand.photos.manifest import (
    Row,
    evaluated_test_photos,
    kept_training_photos,
    read_manifest,
    write_manifest,
)
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.files.history import Epoch, read_history, write_history
from carbrand.scores.files.predictions_file import read_predictions, write_predictions
from carbrand.vectors.feature_store import (
    Features,
    Recipe,
    StoredPhoto,
    read_features,
    vectors_file,
    write_photos,
)

ODD = 'Datasets/train/é/a,b "c"\nd\re\udcff.jpg'


def test_the_manifest_comes_back(tmp_path):
    rows = [
        Row(
            *(ODD, "train", "é", 3, 2, "PNG", "P", 0.25, 0.5, "00", "11", "22", "kept"),
            issues=("a", "b"),
            reason="cut, after\n3 bytes",
            duplicate_of="x.jpg",
            match="hash",
            cluster=ODD,
        ),
        Row("Datasets/test/é/a.jpg", "test", "é"),
    ]
    write_manifest(tmp_path / "m.csv", rows)
    assert read_manifest(tmp_path / "m.csv") == sorted(rows, key=lambda row: row.path)


def test_only_kept_photos_are_learned_from_and_leaked_ones_are_predicted():
    rows = [
        Row("1", "train", "a"),
        Row("2", "train", "a", status="excluded", issues=("duplicate",)),
        Row("3", "test", "a"),
        Row("4", "test", "a", status="excluded", issues=("leaked",)),
        Row("5", "test", "a", status="excluded", issues=("unreadable",)),
    ]
    assert [row.path for row in kept_training_photos(rows)] == ["1"]
    assert [row.path for row in evaluated_test_photos(rows)] == ["3", "4"]


def test_predictions_come_back(tmp_path):
    photos = [PredictedPhoto(ODD, "é", "p_x", 0.75, True, (0.25, 0.75))]
    write_predictions(tmp_path / "p.csv", photos, ["é", "p_x"])
    assert read_predictions(tmp_path / "p.csv") == (photos, ["é", "p_x"])


def test_sets_and_unknown_photos_come_back(tmp_path):
    brands = ["a", "b;d", "c"]  # a semicolon in a name
    photos = [
        PredictedPhoto("1", "a", "c", 0.5, False, (0.2, 0.3, 0.5), unknown=True, brand_set=("c",)),
        PredictedPhoto(
            *("2", "a", "c", 0.5, False, (0.2, 0.3, 0.5)), unknown=False, brand_set=("c", "b;d")
        ),
    ]
    write_predictions(tmp_path / "p.csv", photos, brands)
    text = (tmp_path / "p.csv").read_text("utf-8")
    rows = read_table(tmp_path / "p.csv")[1]
    assert [(row["unknown"], row["set"]) for row in rows] == [("True", "c"), ("False", "c;b;d")]
    (tmp_path / "q.csv").write_text(text.replace("False,c", "False,x"), "utf-8")
    with pytest.raises(ValueError, match="x;b;d of a set has no probability column"):
        read_predictions(tmp_path / "q.csv")
    assert read_predictions(tmp_path / "p.csv")[0] == photos


def test_predictions_of_earlier_versions_have_no_sets(tmp_path):
    (tmp_path / "p.csv").write_text(
        "path,actual,predicted,confidence,leaked,p_a,p_b\nx,a,a,0.75,false,0.75,0.25\n", "utf-8"
    )
    (photo,), _ = read_predictions(tmp_path / "p.csv")
    assert (photo.unknown, photo.brand_set) == (None, ())


def test_features_come_back(tmp_path):
    vectors = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    photos = [StoredPhoto(ODD, "b", "g", "s"), StoredPhoto("y", "a", "h", "t")]
    recipe = Recipe("pad", 64, (2, 1))
    np.save(vectors_file(tmp_path), vectors)
    write_photos(tmp_path, photos, recipe)
    features = read_features(tmp_path)
    assert np.array_equal(features.vectors, vectors)
    assert (features.paths, features.brands) == ([ODD, "y"], ["a", "b"])
    assert (features.groups, features.series) == (["g", "h"], ["s", "t"])
    assert features.labels.tolist() == [1, 0]
    assert features.recipe == recipe
    assert features.network == tmp_path / "network.h5"


def test_photos_can_be_taken_out_of_features(tmp_path):
    vectors = np.arange(6, dtype=np.float32).reshape(3, 1, 2)
    features = Features(
        vectors,
        ["x", "y", "z"],
        ["b", "a", "b"],
        ["g", "h", "g"],
        ["s", "t", "s"],
        Recipe("pad", 8, (2,)),
        tmp_path,
    )
    rest = features.without({"x", "not there"})
    assert np.array_equal(rest.vectors, vectors[1:])
    assert (rest.paths, rest.photo_brands, rest.groups) == (["y", "z"], ["a", "b"], ["h", "g"])
    assert rest.series == ["t", "s"]
    assert features.without(set()).paths == ["x", "y", "z"]


def test_the_history_comes_back_rounded(tmp_path):
    write_history(tmp_path / "h.csv", [Epoch(1, 1 / 3, 0.5, 2 / 3, 0.25)])
    assert read_history(tmp_path / "h.csv") == [Epoch(1, 0.3333, 0.5, 0.6667, 0.25)]


def test_metrics_are_rounded_and_nested(tmp_path):
    write_metrics(tmp_path / "m.json", {"a": {"é": 1 / 3}, "n": 3})
    assert json.loads((tmp_path / "m.json").read_text("utf-8")) == {"a": {"é": 0.3333}, "n": 3}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "text", [1], None, True])
def test_what_is_no_finite_number_is_no_metric(tmp_path, value):
    with pytest.raises(ValueError, match="a metric must be"):
        write_metrics(tmp_path / "m.json", {"a": value})
    assert not (tmp_path / "m.json").exists()
