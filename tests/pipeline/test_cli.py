"""`carbrand …` as a person types it."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from carbrand.cli import build_parser
from carbrand.photos.photo import FORMATS
from tests.conftest import edit_params, run
from tests.pipeline.test_unread import run_unread


def carbrand(project: Path, *arguments: str):
    return run([sys.executable, "-m", "carbrand.cli", *arguments], project)


@pytest.mark.parametrize("test_views", ["plain", "flip_crop"])
def test_predict_says_what_evaluate_said(finished, test_views):
    """Same file, same decode function, same views: the same numbers to the last digit written."""
    if test_views != "plain":
        edit_params(finished, train__test_views=test_views)
        run_node(
            *(finished, "train"),
            *("artifacts/features", "Datasets/corrections.csv", ".training"),
        )
        run_node(
            *(finished, "evaluate", "artifacts/finetune/model.h5"),
            *("artifacts/validate", "artifacts/features"),
        )
    result = carbrand(finished, "predict", "Datasets/test", "--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""  # no start-up noise, no progress bar in a pipe
    said = {record["path"]: record for record in json.loads(result.stdout)}
    with (finished / "artifacts/evaluate/predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(said) == len(rows) == 9
    for row in rows:
        record = said[row["path"]]
        assert record["brand"] == row["predicted"]
        assert f"{record['confidence']:.6f}" == row["confidence"]
        for brand, probability in record["probabilities"].items():
            assert f"{probability:.6f}" == row[f"p_{brand}"]
        assert str(record["unknown"]) == row["unknown"]
        assert record["unknown"] == (record["unknown_score"] > 1)
        assert ";".join(record["set"]) == row["set"]


def run_node(project: Path, node: str, *inputs: str) -> None:
    """One node alone, as DVC would start it."""
    module = [sys.executable, "-m", f"stages.{node}", "params.yaml"]
    result = run([*module, *inputs, f"artifacts/{node}"], project)
    assert result.returncode == 0, result.stderr


def test_predict_prints_brands_and_probabilities_likeliest_first(finished):
    photo = "Datasets/test/asta/000.png"
    result = carbrand(finished, "predict", photo, "--top", "2")
    assert result.returncode == 0, result.stderr
    path, shares = result.stdout.strip().split(": ")
    assert path == photo
    first, second = (share.split() for share in shares.split(", "))
    assert float(first[1].rstrip("%")) >= float(second[1].rstrip("%"))


def test_one_bad_photo_does_not_cost_the_others(finished):
    (finished / "text.jpg").write_text("no photo")
    result = carbrand(finished, "predict", "text.jpg", "Datasets/test/asta/000.png")
    assert result.returncode == 2
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr.splitlines() == [
        f"error: text.jpg is not a readable photo (none of {', '.join(FORMATS)}). "
        "Replace or remove it."
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "nowhere.jpg"], "nowhere.jpg does not exist"),
        (["predict", "stages"], "stages has no photos"),
        (["predict", "Datasets/test", "--model", "none.h5"], "none.h5 does not exist"),
        (["predict", "Datasets/test", "--model", "README.md"], "is not a model that this project"),
        (["predict", "Datasets/test", "--top", "0"], "--top: must be a whole number of at least 1"),
        (["predict"], "No photos are given. Give photos, folders, or a list with --from."),
        (["predikt", "x.jpg"], "invalid choice: 'predikt'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(finished, arguments, said):
    result = carbrand(finished, *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert said in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_model_works_away_from_its_project(finished, tmp_path):
    shutil.copy(finished / "artifacts/finetune/model.h5", tmp_path / "brand.h5")
    shutil.copy(finished / "Datasets/test/bolt/001.png", tmp_path)
    shutil.copytree(finished / "carbrand", tmp_path / "elsewhere" / "carbrand")
    result = carbrand(
        tmp_path / "elsewhere", "predict", "../001.png", "--model", "../brand.h5", "--json"
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)[0]["brand"] in ("asta", "bolt", "cirro")


def test_every_command_explains_itself():
    text = build_parser().format_help()
    for command in ("predict", "export"):
        assert command in text


def test_a_name_that_the_terminal_cannot_show_costs_nothing(finished):
    shutil.copy(finished / "Datasets/test/asta/000.png", finished / "Škoda.png")
    result = run(
        [sys.executable, "-m", "carbrand.cli", "predict", "Škoda.png", "Datasets/test/asta"],
        finished,
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("\\u0160koda.png: ")
    assert len(result.stdout.splitlines()) == 4


def test_names_are_utf8_whatever_the_locale(finished):
    shutil.copy(finished / "Datasets/test/asta/000.png", finished / "Škoda.png")
    result = run(
        [sys.executable, "-m", "carbrand.cli", "predict", "Škoda.png", "--json"],
        finished,
        env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)[0]["path"] == "Škoda.png"


def test_a_reader_that_stops_early_is_no_error(finished):
    python = shlex.quote(sys.executable)
    shell = f"{python} -m carbrand.cli predict Datasets/test Datasets/train | head -1"
    result = run(["sh", "-c", shell], finished)
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 1


def test_a_reader_that_is_gone_before_the_first_line_shows_in_the_status(finished):
    command = [sys.executable, "-m", "carbrand.cli", "predict", "Datasets/test/asta/000.png"]
    assert run_unread(command, finished) == (141, "")
