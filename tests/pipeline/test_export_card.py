"""The model card says what the run's files say, and what they do not."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from carbrand.export.agreement import Agreement
from carbrand.export.model_card import Exported, write_card
from carbrand.export.run_record import RunRecord, read_record
from carbrand.export.runtimes.targets import FORMATS
from carbrand.model.model_file import read_metadata
from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import write_metrics
from tests.conftest import relock, rewrite_results
from tests.support.made_up_run import TUNED

AGREEMENT = Agreement(photos=31, same_brand=30, largest=0.0821, mean=0.0104)


def card_of(project: Path, name: str = "tflite_int8") -> str:
    model = project / "artifacts/finetune/model.h5"
    exported = Exported(read_metadata(model), FORMATS[name], 4_010_000, AGREEMENT)
    write_card(project / "card.md", exported, with_lite0(read_record(model)))
    return (project / "card.md").read_text("utf-8")


def with_lite0(record: RunRecord) -> RunRecord:
    """The record, if there is one, as if the run had not had a small backbone of the tests."""
    if "features" not in record.origins:
        return record
    features = record.origins["features"]
    lite0 = {"backbone": "efficientnet_lite0", "weights": "imagenet"}
    features = replace(features, parameters={**features.parameters, **lite0})
    return replace(record, origins={**record.origins, "features": features})


def section(card: str, heading: str) -> str:
    return card.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_it_holds_the_numbers_of_the_run(finished):
    card = card_of(finished)
    metrics = json.loads((finished / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    front = yaml.safe_load(card.split("---")[1])
    (value, _) = front["model-index"][0]["results"][0]["metrics"]
    assert value == {"type": "accuracy", "value": metrics["accuracy"]}
    assert front["license"] == "apache-2.0"
    evaluation = section(card, "Evaluation")
    low, high = (100 * metrics[f"accuracy_{end}"] for end in ("low", "high"))
    assert f"{low:.1f}–{high:.1f}" in evaluation
    for brand, scores in metrics["brand"].items():
        (row,) = re.findall(rf"^\| {brand} \|.*$", evaluation, re.MULTILINE)
        assert f"{100 * scores['recall']:.1f}" in row
        assert row.endswith(f"| {scores['support']} |")
    data = section(card, "Training data")
    assert "| asta | 6 | 3 |" in data
    assert re.search(r"`Datasets/train`: 18.photos kept.*`[0-9a-f]{64}`", data)
    made = section(card, "How it was made")
    assert "efficientnet\\_lite0" in made
    assert "tensorflow 2." in made
    export = section(card, "This export")
    assert "4.0 MB" in export
    assert "(30 of 31)" in export
    assert "0.082" in export


def test_it_does_not_say_what_the_backbone_of_ones_own_learned_from(finished):
    """The project of the tests has such a one; `features.weights` says imagenet all the same."""
    model = finished / "artifacts/finetune/model.h5"
    record = read_record(model)
    assert record.origins["features"].parameters["weights"] == "imagenet"
    exported = Exported(read_metadata(model), FORMATS["tflite_int8"], 4_010_000, AGREEMENT)
    write_card(finished / "own.md", exported, record)
    assert "ImageNet" not in (finished / "own.md").read_text("utf-8")
    of_lite0 = card_of(finished)
    assert "learned from ImageNet" in of_lite0
    assert "ImageNet's photos" in of_lite0


def test_it_says_which_model_ships_and_its_held_out_accuracy(finished):
    card, held_out = card_of(finished), "Held-out accuracy on the training photos ("
    assert "A frozen EfficientNet-Lite0" in card
    assert "head ships: 18 training photos are too few (finetune.min_photos: 200)." in card
    assert f"{held_out}cross-validation): " in card
    write_metrics(finished / "artifacts/finetune/summary.json", TUNED)
    relock(finished, "artifacts/finetune/summary.json")
    card = card_of(finished)
    assert "A tuned EfficientNet-Lite0" in card
    assert "The tuned network ships: it named 57 of 60 held-out photos correctly, the" in card
    assert f"{held_out}60 of them): 95.0" in card


def test_leaked_photos_are_listed_with_what_they_copy(finished):
    manifest = finished / "artifacts/validate/manifest.csv"
    rewrite_results(finished, lambda photos: [replace(photos[0], leaked=True), *photos[1:]])
    columns, *lines = manifest.read_text("utf-8").splitlines()
    places = columns.split(",")
    cells = lines[0].split(",")
    cells[places.index("issues")] = "leaked"
    cells[places.index("duplicate_of")] = "Datasets/train/asta/004.png"
    manifest.write_text("\n".join([columns, ",".join(cells), *lines[1:]]) + "\n", "utf-8")
    relock(finished, "artifacts/validate/manifest.csv")
    leaks = section(card_of(finished), "Leaks found")
    assert "1\N{NO-BREAK SPACE}test photo is a copy of training photos" in leaks
    assert "| Datasets/test/asta/000.png | Datasets/train/asta/004.png |" in leaks


def test_no_number_of_another_model_is_told(finished):
    model = finished / "artifacts/finetune/model.h5"
    assert read_record(model).metrics
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    lock = finished / "dvc.lock"
    assert digest in lock.read_text("utf-8")
    lock.write_text(lock.read_text("utf-8").replace(digest, "f" * 32), "utf-8")
    record = read_record(model)
    assert record == RunRecord(missing=record.missing)
    assert "evaluated another model" in card_of(finished)


def test_a_lone_model_has_a_card_that_claims_nothing(finished, tmp_path):
    lone = tmp_path / "lone"
    (lone / "artifacts/finetune").mkdir(parents=True)
    shutil.copy(finished / "artifacts/finetune/model.h5", lone / "artifacts/finetune/model.h5")
    card = card_of(lone)
    assert "without the run that made it" in card
    for heading in ("Training data", "Leaks found", "Evaluation"):
        assert section(card, heading).strip() == "Not known."
    front = yaml.safe_load(card.split("---")[1])
    assert "model-index" not in front
    assert front["license"] == "other"


def test_a_damaged_file_of_the_run_is_one_line(finished):
    (finished / "artifacts/evaluate/metrics.json").write_text("{", "utf-8")
    with pytest.raises(UserError, match=r"metrics\.json is damaged \(.*\)\. Run `dvc repro`"):
        read_record(finished / "artifacts/finetune/model.h5")


def test_names_of_brands_are_letters_and_nothing_else(finished):
    about = read_metadata(finished / "artifacts/finetune/model.h5")
    brands = ["<script>", "a|b", "# c\nd"]
    exported = Exported(about | {"brands": brands}, FORMATS["onnx"], 1, AGREEMENT)
    write_card(finished / "card.md", exported, RunRecord(missing="Nothing."))
    title = (finished / "card.md").read_text("utf-8").split("---\n")[2].splitlines()[1]
    assert title == r"# \<script\>, a\|b, \# c d: which one is in a photo"
