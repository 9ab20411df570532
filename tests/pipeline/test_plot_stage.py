"""The node `plot`: what it writes, what it says when it cannot, and what it never imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carbrand.node.errors import UserError
from carbrand.report.drawing import charts, figures
from stages import plot
from stages.plot import main
from tests.conftest import ROOT
from tests.support.made_up_run import PARAMS, MadeUpRun, plot_arguments

FILES = [
    *("accuracy.png", "brands.png", "confusion.png", "loss.png", "map.png", "photos.png"),
    *("reliability.png", "report.html"),
]
INPUTS = [
    "artifacts/validate/manifest.csv",
    "artifacts/validate/folders.csv",
    "artifacts/train/history.csv",
    "artifacts/train/summary.json",
    "artifacts/finetune/history.csv",
    "artifacts/finetune/summary.json",
    "artifacts/evaluate/predictions.csv",
    "artifacts/evaluate/metrics.json",
    "artifacts/evaluate/heatmaps.npy",
    "artifacts/features/copies.csv",
    "artifacts/evaluate/copies.csv",
    "artifacts/train/suspects.csv",
    "artifacts/evaluate/suspects.csv",
    "artifacts/evaluate/map.csv",
    "artifacts/validate/origin.json",
    "artifacts/features/origin.json",
    "artifacts/train/origin.json",
    "artifacts/finetune/origin.json",
    "artifacts/evaluate/origin.json",
]
RELATIVE = Path()
FIGURES = {
    charts: ("loss_curves", "accuracy_curves", "reliability"),
    figures: ("confusion_matrix", "brand_metrics"),
    plot: ("embedding_map", "photo_page"),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(MadeUpRun().write(tmp_path))
    return tmp_path


def written(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "artifacts/plot").iterdir())}


def test_the_stage_writes_every_figure_and_the_report_and_a_failure_leaves_the_last_ones(project):
    main(*plot_arguments(RELATIVE))
    before = written(project)
    assert list(before) == FILES
    shown = project / "Datasets/test/asta/2.png"  # because it is misclassified
    shown.write_bytes(b"no photo")
    with pytest.raises(UserError):
        main(*plot_arguments(RELATIVE))
    assert written(project) == before
    shown.unlink()
    with pytest.raises(UserError, match=r"Datasets/test/asta/2.png is not a readable photo"):
        main(*plot_arguments(RELATIVE))
    assert written(project) == before


def test_another_process_place_and_time_zone_write_the_same_bytes_without_tensorflow(
    project, tmp_path_factory
):
    main(*plot_arguments(RELATIVE))
    elsewhere = MadeUpRun().write(tmp_path_factory.mktemp("elsewhere"))
    check = (
        "import sys; from pathlib import Path; from stages.plot import main;"
        "main(*map(Path, sys.argv[1:]));"
        "heavy = {'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C",
    }
    command = [sys.executable, "-c", check, *map(str, plot_arguments(RELATIVE))]
    subprocess.run(command, cwd=elsewhere, env=environment, check=True)
    assert written(elsewhere) == written(project)


@pytest.mark.parametrize("path", INPUTS)
def test_a_missing_file_is_named_with_the_way_to_make_it(project, path):
    (project / path).unlink()
    with pytest.raises(UserError, match=f"^{path} does not exist. Run `dvc repro`"):
        main(*plot_arguments(RELATIVE))
    assert not (project / "artifacts/plot").exists()


def test_all_missing_files_are_named_at_once(project):
    for path in INPUTS:
        (project / path).unlink()
    with pytest.raises(UserError) as error:
        main(*plot_arguments(RELATIVE))
    assert [problem.split()[0] for problem in error.value.problems] == INPUTS


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b"a,b\n1,2\n"])
@pytest.mark.parametrize("path", INPUTS)
def test_a_damaged_file_is_named_with_the_way_to_mend_it(project, path, content):
    (project / path).write_bytes(content)
    with pytest.raises(UserError, match="Run `dvc repro"):
        main(*plot_arguments(RELATIVE))


def test_files_of_two_runs_are_refused(project):
    metrics = project / "artifacts/evaluate/metrics.json"
    content = json.loads(metrics.read_text("utf-8"))
    metrics.write_text(json.dumps(content | {"images": 99}), encoding="utf-8")
    summary = project / "artifacts/train/summary.json"
    summary.write_text('{"epochs": 77}', encoding="utf-8")
    with pytest.raises(UserError) as error:
        main(*plot_arguments(RELATIVE))
    assert len(error.value.problems) == 2
    assert "99 leak-free" in str(error.value)
    assert "77" in str(error.value)


@pytest.mark.parametrize(
    "path", ["train/suspects.csv", "evaluate/map.csv", "features/copies.csv", "evaluate/copies.csv"]
)
def test_a_photo_that_validate_never_saw_is_refused(project, path):
    row = {
        "train/suspects.csv": "nowhere.png,asta,bolt,0.9,0.9,true",
        "evaluate/map.csv": "nowhere.png,train,asta,0.0,0.0",
    }.get(path, "nowhere.png,nowhere.png,duplicate,0.99,false")
    with (project / "artifacts" / path).open("a", encoding="utf-8") as file:
        file.write(row + "\n")
    with pytest.raises(UserError, match=r"does not know nowhere.png.*dvc repro --force"):
        main(*plot_arguments(RELATIVE))


@pytest.mark.parametrize("number", ["nan", "inf", "", "x"])
def test_a_place_on_the_map_that_is_no_number_is_refused(project, number):
    with (project / "artifacts/evaluate/map.csv").open("a", encoding="utf-8") as file:
        file.write(f"Datasets/test/asta/0.png,test,asta,{number},0\n")
    with pytest.raises(UserError, match=r"map.csv is damaged .* Run `dvc repro`"):
        main(*plot_arguments(RELATIVE))


def once(draw):
    """`draw`, called once for equal knobs; the run is always the same."""
    drawn = {}

    def draw_or_recall(results, *knobs):
        if knobs not in drawn:
            drawn[knobs] = draw(results, *knobs)
        return drawn[knobs]

    return draw_or_recall


def test_every_knob_changes_what_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(MadeUpRun(right=3, wrong=3, leaked=2).write(tmp_path))
    for owner, names in FIGURES.items():
        for name in names:
            monkeypatch.setattr(owner, name, once(getattr(owner, name)))
    seen = []
    for change in ({}, *({knob: value - 1} for knob, value in PARAMS.items())):
        Path("params.yaml").write_text(json.dumps({"plot": PARAMS | change}), encoding="utf-8")
        main(*plot_arguments(RELATIVE))
        files = written(tmp_path)
        # Without the last section, which lists all parameters anyway.
        files["report.html"] = files["report.html"].partition(b'<section id="reproduce"')[0]
        seen.append(files)
    for knob, changed in zip(PARAMS, seen[1:], strict=True):
        assert changed != seen[0], knob


def test_the_stage_runs_as_dvc_runs_it(project):
    command = [sys.executable, "-m", "stages.plot", *map(str, plot_arguments(RELATIVE))]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    (project / "artifacts/train/history.csv").unlink()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: artifacts/train/history.csv does not exist. Run `dvc repro` to recreate it.\n"
    )
