"""`make repro` ends with what the run found, and with nothing where there is nothing to say."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.ui import ui

from carbrand.photos.manifest import Row
from carbrand.pipeline.dvc import leave_out_hints
from carbrand.report.run_files import read_results
from carbrand.report.run_summary import (
    MOST_FINDINGS,
    print_summary,
    runs_whole_pipeline,
    summary_lines,
)
from stages.plot import files_of_run
from tests.support.made_up_run import MADE_BY, TUNED, TUNING_HISTORY, MadeUpRun

FILES = files_of_run(*(Path("artifacts", node) for node in MADE_BY))
REPORT = Path("artifacts/plot/report.html")


def lines_of(what: MadeUpRun, folder: Path, monkeypatch) -> dict[str, list[str]]:
    """The texts under each label."""
    what.write(folder)
    monkeypatch.chdir(folder)
    found: dict[str, list[str]] = {}
    for line in summary_lines(read_results(FILES), FILES, REPORT):
        label, text = line[:14].strip(), line[14:]
        if label:
            texts = found.setdefault(label, [])
        texts.append(text)
    return found


def test_the_lines_say_how_good_it_is_and_where_the_report_lies(tmp_path, monkeypatch):
    said = lines_of(MadeUpRun(right=3, wrong=1, leaked=0), tmp_path, monkeypatch)
    metrics = json.loads(Path("artifacts/evaluate/metrics.json").read_text("utf-8"))
    low, high = (f"{100 * metrics[f'accuracy_{bound}']:.1f}" for bound in ("low", "high"))
    (accuracy,) = said["test accuracy"]
    assert accuracy.startswith(f"75.0 % of 12 photos correct (95 % interval {low}–{high} %)")
    assert "balanced over brands 75.0 % (" in accuracy
    assert said["held out"] == ["90.0 % of 64 training photos correct; balanced 75.0 %"]
    assert said["tested on"] == ["12 of 12 test photos"]
    assert said["report"] == ["artifacts/plot/report.html"]
    assert not said.keys() & {"left out", "warnings"}


def test_held_out_is_the_model_that_ships(tmp_path, monkeypatch):
    frozen = lines_of(MadeUpRun(), tmp_path / "off", monkeypatch)
    assert "model" not in frozen
    tuned = MadeUpRun(tuning=TUNED, tuning_history=TUNING_HISTORY)
    said = lines_of(tuned, tmp_path / "on", monkeypatch)
    assert said["held out"] == ["95.0 % of 60 training photos correct"]
    assert said["model"] == [
        "The tuned network ships: it named 57 of 60 held-out photos correctly, the frozen one 52 "
        "(log loss 0.188 and 0.432)."
    ]
    lost = MadeUpRun(tuning=TUNED | {"ships_tuned": 0}, tuning_history=TUNING_HISTORY)
    assert lines_of(lost, tmp_path / "lost", monkeypatch)["held out"] == frozen["held out"]


def test_what_was_left_out_is_counted_once_each_by_what_it_was_left_out_for(tmp_path, monkeypatch):
    """Also what only vectors showed, whose files are then named."""
    others = (
        Row("Datasets/train/asta/.x", "train", "asta", status="excluded", issues=("hidden",)),
        Row(
            "Datasets/train/asta/a.png", "train", "asta", status="excluded",
            issues=("dark", "duplicate"), duplicate_of="Datasets/train/asta/2.png",
        ),
        Row("Datasets/train/bolt/b.png", "train", "bolt", issues=("dark", "blurry")),
    )  # fmt: skip
    what = MadeUpRun(right=1, wrong=1, leaked=2, other_issues=others)
    said = lines_of(what, tmp_path, monkeypatch)
    assert said["trained on"] == ["7 of 8 training photos"]
    assert said["tested on"] == ["6 of 12 test photos"]
    assert said["left out"] == [
        "8 files: 6 leaked, 1 hidden, 1 duplicate; see "
        "artifacts/validate/manifest.csv, artifacts/evaluate/copies.csv"
    ]
    assert "1 photo used despite issues: 1 dark, 1 blurry" in said["warnings"]
    assert "6 test photos leaked, not counted; with them 75.0 % of 12" in (said["warnings"])


def test_findings_about_folders_and_suspects_are_warnings(tmp_path, monkeypatch):
    notes = [("imbalance", "warn", "Datasets/train", f"out of balance {n}") for n in range(9)]
    said = lines_of(MadeUpRun(notes=tuple(notes)), tmp_path, monkeypatch)
    assert said["warnings"][0] == "imbalance: out of balance 0"
    assert said["warnings"][MOST_FINDINGS] == (
        "4 more about the folders in artifacts/validate/folders.csv"
    )
    assert said["warnings"][-1] == (
        "1 training photo may be in the wrong folder; see artifacts/train/suspects.csv"
    )


def test_what_is_said_of_many_brands_hides_no_other_warning(tmp_path, monkeypatch):
    few = [("few_photos", "warn", "Datasets/train", f"few of brand {n}") for n in range(81)]
    others = [(code, "warn", "Datasets/test", "much") for code in ("imbalance", "drift")]
    said = lines_of(MadeUpRun(notes=(*few, *others)), tmp_path, monkeypatch)
    assert said["warnings"][: MOST_FINDINGS + 1] == [
        *(f"few_photos: few of brand {n}" for n in range(3)),
        "imbalance: much",
        "drift: much",
        "78 more about the folders in artifacts/validate/folders.csv",
    ]


def test_a_brand_of_which_no_photo_is_measured_is_counted(tmp_path, monkeypatch):
    MadeUpRun(leaked=0).write(tmp_path)
    monkeypatch.chdir(tmp_path)
    run = read_results(FILES)
    photos = tuple(replace(photo, leaked=photo.actual == "bolt") for photo in run.photos)
    lines = list(summary_lines(replace(run, photos=photos), FILES, REPORT))
    assert "balanced over 2 of 3 brands 66.7 % (" in lines[0]


def test_a_name_cannot_forge_a_line(tmp_path, monkeypatch):
    name = "asta\nerror: all is lost\x1b[31m"
    note = ("drift", "warn", "Datasets/test", f"`{name}` is odd")
    what = MadeUpRun(brands=(name, "bolt"), notes=(note,), leaked=0)
    said = lines_of(what, tmp_path, monkeypatch)
    assert said["warnings"] == ["drift: `asta error: all is lost [31m` is odd"]


@pytest.mark.parametrize("way", ["missing", "damaged", "of another run", "of an older node"])
def test_files_that_do_not_fit_are_a_note_and_no_numbers(way, tmp_path, monkeypatch, capsys):
    MadeUpRun().write(tmp_path)
    monkeypatch.chdir(tmp_path)
    if way == "missing":
        FILES.metrics.unlink()
    elif way == "damaged":
        FILES.metrics.write_text("{}")
    elif way == "of an older node":
        numbers = json.loads(FILES.training.read_text("utf-8"))
        del numbers["val_balanced_accuracy"]
        FILES.training.write_text(json.dumps(numbers), "utf-8")
    else:
        MadeUpRun(right=5).write(tmp_path / "other")
        (tmp_path / "other" / FILES.metrics).replace(FILES.metrics)
    print_summary(FILES, REPORT)
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("note: the results of the run cannot be shown: ")


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        ("", True),
        ("--force", True),
        ("-f -v --pull", True),
        ("-P", True),
        ("train", False),
        ("--downstream features", False),
        ("-s plot", False),
        ("--dry", False),
        ("--quiet", False),
        ("-fq", False),
        ("-sf", False),
        ("--single", False),
    ],
)
def test_only_what_ran_all_nodes_is_told_of(arguments, whole):
    assert runs_whole_pipeline(arguments.split()) is whole


def test_hints_of_dvc_are_left_out_and_nothing_else(monkeypatch, capsys):
    monkeypatch.setattr(ui, "write", ui.write)  # put back afterwards
    monkeypatch.setattr(ui, "_enabled", True)
    logger = logging.getLogger("dvc.repo.scm_context")
    monkeypatch.setattr(logger, "level", logger.level)
    leave_out_hints()
    ui.write("Use `dvc push` to send your updates to remote storage.")
    ui.write("Data and pipelines are up to date.")
    ui.write()
    assert capsys.readouterr().out == "Data and pipelines are up to date.\n\n"
    assert not logger.isEnabledFor(logging.INFO)
    assert logger.isEnabledFor(logging.WARNING)
