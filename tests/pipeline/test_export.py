"""`carbrand export` keeps what agrees with the Keras model, and nothing else."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carbrand.commands import export
from carbrand.export.agreement import Tolerance, measure_agreement
from carbrand.export.export_model import export_model
from carbrand.export.runtimes import run_savedmodel
from carbrand.export.runtimes.targets import FORMATS, Source, choose_formats, write_onnx
from carbrand.node.errors import UserError
from carbrand.photos.photo import read_photo
from carbrand.scores.files.predictions_file import read_predictions
from tests.support.running import THOROUGH, in_torture

pytestmark = pytest.mark.usefixtures("on_tensorflow")

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("ai_edge_quantizer")

MODEL = Path("artifacts/finetune/model.h5")


def carbrand_export(*words: str) -> int:
    parser = argparse.ArgumentParser()
    export.add(parser.add_subparsers())
    arguments = parser.parse_args(["export", *words])
    return arguments.run(arguments)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def answers(name: str, folder: Path, photos: np.ndarray) -> np.ndarray:
    """What the exported file says, asked by its own runtime in a process without this project.

    TensorFlow is asked in this one, which has it: the export itself asked in another.
    """
    format = FORMATS[name]
    np.save(folder / "photos.npy", photos)
    words = [str(folder / file) for file in (format.file, "photos.npy", "answers.npy")]
    if name == "savedmodel":
        run_savedmodel.main(*words)
    else:
        command = [sys.executable, "-I", str(format.runner.__file__), *words]
        subprocess.run(command, check=True, capture_output=True)
    return np.load(folder / "answers.npy")


@pytest.fixture(scope="module")
def project(_finished: Path) -> Path:
    """A project in which the pipeline ran, to be left as it is."""
    return _finished


@pytest.fixture(scope="module")
def exported(project: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The finished project's model in all formats."""

    def make(output: Path) -> None:
        photos = project / "Datasets/train"
        for outcome in export_model(project / MODEL, list(FORMATS.values()), output, photos):
            assert outcome.kept, outcome.in_words()

    return made_once("exported", make)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_answers_as_evaluate_did(name, project, exported):
    table = project / "artifacts/evaluate/predictions.csv"
    predicted, _ = read_predictions(table)
    photos = np.stack([read_photo(project / p.path, 64, "stretch") for p in predicted])
    expected = np.array([photo.probabilities for photo in predicted])
    agreement = measure_agreement(expected, answers(name, exported / name, photos))
    assert agreement.keeps(FORMATS[name].tolerance), agreement.in_words()


@pytest.mark.parametrize("name", FORMATS)
def test_labels_preprocessing_and_a_card_lie_beside_each(name, project, exported):
    _, brands = read_predictions(project / "artifacts/evaluate/predictions.csv")
    folder = exported / name
    assert (folder / "labels.txt").read_text("utf-8").split() == brands
    described = json.loads((folder / "preprocessing.json").read_text("utf-8"))
    assert described["labels"] == brands
    assert described["preprocessing"]["width_px"] == 64
    assert described["sets"]["level"] == 0.9
    assert described["unknown"]["share_of_known_photos"] == 0.05
    assert f"`{FORMATS[name].file}`" in (folder / "MODEL_CARD.md").read_text("utf-8")
    assert sorted(path.name for path in exported.iterdir()) == sorted(FORMATS)


def test_the_command_says_a_line_per_format_and_writes_the_same_files_again(
    exported, finished, monkeypatch, capfd
):
    """But for a SavedModel's graph, where TensorFlow counts functions, and its random number."""
    monkeypatch.chdir(finished)
    names = list(FORMATS) if THOROUGH else ["tflite", "onnx"]
    assert carbrand_export(*(word for name in names for word in ("--format", name))) == 0
    said = capfd.readouterr()
    places = [line.split(":")[0] for line in said.out.splitlines()]
    assert places == [f"export/{name}/{FORMATS[name].file}" for name in names]
    assert said.err == ""
    second = files(Path("export"))
    first = {name: data for name, data in files(exported).items() if name.split("/")[0] in names}
    made_by_tests = {name for name in first if name.endswith(".npy")}
    differ = {name for name in first.keys() - made_by_tests if first[name] != second[name]}
    assert differ <= {f"savedmodel/model/{name}.pb" for name in ("fingerprint", "saved_model")}


def test_int8_is_a_third_of_the_size_and_computes_in_int8(exported):
    from ai_edge_litert.interpreter import Interpreter

    small, large = (exported / name / FORMATS[name].file for name in ("tflite_int8", "tflite"))
    assert small.stat().st_size < large.stat().st_size / 3
    tensors = Interpreter(str(small)).get_tensor_details()
    kinds = [np.dtype(tensor["dtype"]) for tensor in tensors if len(tensor["shape"]) == 4]
    assert kinds.count(np.dtype(np.int8)) > 0.8 * len(kinds)


@in_torture
def test_real_photos_are_answered_alike(project, article_photos, tmp_path):
    formats = [FORMATS["tflite_int8"], FORMATS["onnx"]]
    photos = article_photos / "train"
    outcomes = list(export_model(project / MODEL, formats, tmp_path / "export", photos))
    int8, onnx = (outcome.agreement for outcome in outcomes)
    assert outcomes[1].kept
    assert int8.photos == onnx.photos > 25
    # The model knows drawings only and is of two minds about photos: names tip over more easily
    # than int8 is allowed to (27 to 30 of 31 stay, by the processor), probabilities must not.
    assert int8.keeps(replace(formats[0].tolerance, same_brand=0.8))


def test_an_export_that_disagrees_is_not_kept_and_what_was_there_stays(
    exported, finished, monkeypatch, capsys
):
    monkeypatch.chdir(finished)
    shutil.copytree(exported / "onnx", "export/onnx")
    before = files(Path("export"))

    def write_wrong(source: Source, path: Path) -> None:
        layers = dict(source.network.layers)
        head = layers["head"]
        turned = {name: np.roll(array, 1, axis=-1) for name, array in head.weights.items()}
        layers["head"] = replace(head, weights=turned)
        write_onnx(replace(source.network, layers=layers), path, source.metadata)

    wrong = replace(FORMATS["onnx"], write=write_wrong)
    monkeypatch.setitem(FORMATS, "onnx", wrong)
    capsys.readouterr()
    assert carbrand_export("--format", "onnx") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "onnx does not agree with the Keras model: the same brand for" in said.err
    assert files(Path("export")) == before
    assert [path.name for path in Path("export").iterdir()] == ["onnx"]


def test_an_error_midway_leaves_what_was_there(finished, monkeypatch):
    monkeypatch.chdir(finished)

    def write_half(_source: Source, path: Path) -> None:
        path.write_bytes(b"half")

    old = Path("export/onnx")
    old.mkdir(parents=True)
    (old / "MODEL_CARD.md").write_text("of before", "utf-8")
    half = replace(FORMATS["onnx"], write=write_half)
    with pytest.raises(UserError, match=r"the exported model does not run \(.*\) and was not"):
        list(export_model(MODEL, [half], Path("export"), Path("Datasets/train")))
    assert files(Path("export")) == {"onnx/MODEL_CARD.md": b"of before"}


def test_a_folder_that_is_no_export_is_left_alone(finished, monkeypatch):
    monkeypatch.chdir(finished)
    mine = Path("export/onnx/thesis.txt")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine", "utf-8")
    with pytest.raises(UserError, match=r"export/onnx exists and has no MODEL_CARD\.md"):
        carbrand_export("--format", "onnx")
    assert files(Path("export")) == {"onnx/thesis.txt": b"mine"}


def test_a_lone_model_is_exported_and_its_card_says_what_is_missing(
    finished, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(finished / MODEL, "lone.h5")
    photos = str(finished / "Datasets/test")
    assert carbrand_export("--format", "onnx", "--model", "lone.h5", "--photos", photos) == 0
    card = Path("export/onnx/MODEL_CARD.md").read_text("utf-8")
    assert "The model was exported without the run that made it." in card
    assert "accuracy |" not in card


def test_what_is_not_installed_is_one_line_with_its_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError) as told:
        choose_formats(["onnx", "tflite"])
    assert told.value.problems == (
        "onnx is left out: onnx not installed. Run `pip install -e '.[export]'`.",
    )
    assert [format.name for format in choose_formats([])] == ["savedmodel", "tflite", "tflite_int8"]
    for module in ("tensorflow", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=r"\[cpu,export\]"):
        choose_formats([])


@pytest.mark.parametrize(
    ("got", "keeps"),
    [
        ([[0.6, 0.4], [0.2, 0.8]], True),
        ([[0.6, 0.4], [0.24, 0.76]], True),
        ([[0.4, 0.6], [0.2, 0.8]], False),
        ([[0.7, 0.3], [0.1, 0.9]], False),
        ([[0.6, 0.4], [float("nan"), 0.8]], False),
        ([[0.6, 0.4, 0.0], [0.2, 0.8, 0.0]], False),
    ],
)
def test_agreement_is_the_same_brand_and_near_probabilities(got, keeps):
    expected = np.array([[0.6, 0.4], [0.2, 0.8]], np.float32)
    tolerance = Tolerance(same_brand=1.0, largest=0.05, mean=0.03)
    assert measure_agreement(expected, np.array(got, np.float32)).keeps(tolerance) is keeps
