"""The main job, whole: real photos, the article's backbones, the same bits twice."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shutil
import sys
from pathlib import Path

import pytest

from carbrand.commands.preflight import MANIFEST
from carbrand.network.architecture.applications import APPLICATIONS
from carbrand.network.keras_import import import_keras
from carbrand.photos.manifest import ERROR, KEPT, read_manifest
from tests.conftest import ROOT, copy_project, edit_params, git, run
from tests.support.copies import copy_made
from tests.support.running import in_torture

PNGS = [
    *("accuracy.png", "brands.png", "confusion.png", "loss.png", "map.png", "photos.png"),
    "reliability.png",
]


def repro(project: Path) -> str:
    result = run([sys.executable, "-m", "stages"], project)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""  # nor does TensorFlow's start-up noise reach the user
    assert "oneDNN" not in result.stdout
    return result.stdout


def nodes_run(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running")]


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in numbers(inner)]
    assert isinstance(value, (int, float))
    return [float(value)]


@pytest.fixture(scope="module")
def article(article_photos, made_once) -> Path:
    """The project as it is, default params, on the article's own photos; no Git around it."""

    def make(project: Path) -> None:
        copy_project(project)
        shutil.copytree(article_photos, project / "Datasets")
        repro(project)

    return made_once("with space", make)


@pytest.fixture(scope="module")
def drawn(_finished, made_once) -> Path:
    """A project with drawn photos in which a node ran after Git was taken away."""

    def make(project: Path) -> None:
        copy_made(_finished, project, shutil.ignore_patterns(".git"))
        edit_params(project, plot__dpi=51)
        assert nodes_run(repro(project)) == ["plot"]

    return made_once("drawn without git", make)


@pytest.fixture(params=["drawn", pytest.param("article", marks=in_torture)])
def archive(request: pytest.FixtureRequest) -> Path:
    """A project that ran without Git around it."""
    return request.getfixturevalue(request.param)


@in_torture
def test_the_articles_photos_give_honest_numbers(article):
    found = json.loads((article / "artifacts/validate/summary.json").read_text("utf-8"))
    # 20 have the same bytes, one was mirrored and saved anew
    assert (found["images"], found["leaked"]) == (122, 21)
    metrics = json.loads((article / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    assert (metrics["images"], metrics["as_given"]["images"]) == (37, 58)
    assert metrics["accuracy"] >= 0.79
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
    assert all(math.isfinite(number) for number in numbers(metrics))


def test_every_metric_follows_from_the_rows(archive):
    metrics = json.loads((archive / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    with (archive / "artifacts/evaluate/predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    found = json.loads((archive / "artifacts/validate/summary.json").read_text("utf-8"))
    assert sum(row["leaked"] == "true" for row in rows) == found["leaked"]
    for row in rows:
        shares = {name[2:]: float(row[name]) for name in row if name.startswith("p_")}
        assert row["predicted"] == max(shares, key=lambda brand: shares[brand])
        assert float(row["confidence"]) == max(shares.values())
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert row["path"].split("/")[:3] == ["Datasets", "test", row["actual"]]
    honest = [row for row in rows if row["leaked"] == "false"]
    right = sum(row["actual"] == row["predicted"] for row in honest)
    assert metrics["accuracy"] == round(right / len(honest), 4)


def test_every_artifact_is_there(archive):
    artifacts = archive / "artifacts"
    assert sorted(path.name for path in (artifacts / "plot").iterdir()) == [*PNGS, "report.html"]
    with (artifacts / "train/history.csv").open(encoding="utf-8") as file:
        assert csv.DictReader(file).fieldnames == [
            "epoch", "loss", "accuracy", "val_loss", "val_accuracy",
        ]  # fmt: skip
    assert (artifacts / "features/vectors.npy").is_file()


def test_without_git_the_second_run_does_nothing_and_says_so(archive):
    assert not (archive / ".git").exists()
    assert "Data and pipelines are up to date." in repro(archive)


def test_an_archive_that_becomes_a_repository_is_one_to_dvc(archive, tmp_path):
    project = Path(shutil.copytree(archive, tmp_path / "project", symlinks=True))
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "mine")
    assert "up to date" in repro(project)
    result = run([sys.executable, "-m", "dvc", "metrics", "diff"], project)
    assert result.returncode == 0, result.stderr


def bits(project: Path) -> dict[str, str]:
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((project / "artifacts").rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    }


@in_torture
def test_a_forced_rerun_gives_the_same_bits(finished):
    """Of two nodes by DVC alone; of all, from nothing, in tests/promises/test_same_bits.py."""
    lock, before = (finished / "dvc.lock").read_bytes(), bits(finished)
    shutil.rmtree(finished / ".vectors")  # or the backbone would have nothing to do
    odd = {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    result = run([sys.executable, "-m", "dvc", "repro", "--force", "features"], finished, env=odd)
    assert result.returncode == 0, result.stderr
    assert (finished / "dvc.lock").read_bytes() == lock
    assert nodes_run(result.stdout) == ["validate", "features"]
    assert bits(finished) == before
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("backbone", "resize", "pooling", "tuned"),
    [
        ("efficientnet_lite0", "crop", "levels", False),
        pytest.param("efficientnet_lite0", "crop", "levels", True, marks=in_torture),
        pytest.param("resnet50", "crop", "max", True, marks=in_torture),
        pytest.param("vgg16", "pad", "avg", True, marks=in_torture),
    ],
)
def test_the_default_and_the_articles_backbones_are_tuned_and_run_through_to_the_report(
    finished, backbone, resize, pooling, tuned
):
    """And, in the same runs, the other ways to a square and to a vector.

    In every run, a small backbone is tuned in test_finetune_stage.py.
    """
    edit_params(finished, features__backbone=backbone, features__size_px=64, features__views=1)
    edit_params(finished, features__resize=resize, features__pooling=pooling)
    if backbone in APPLICATIONS:
        keras = import_keras()
        keras.utils.set_random_seed(0)
        network = getattr(keras.applications, APPLICATIONS[backbone].function)
        network(include_top=False, weights=None).save(finished / f"weights/{backbone}.h5")
        edit_params(finished, features__weights=f"weights/{backbone}.h5")
    if tuned:
        edit_params(finished, finetune__epochs=1, finetune__min_steps=0, finetune__min_photos=0)
        edit_params(finished, finetune__compare_photos=1, finetune__ship="tuned")
        edit_params(finished, finetune__size_px=32, finetune__predict_px=32)
    repro(finished)
    report = (finished / "artifacts/plot/report.html").read_text("utf-8")
    assert ("tuned network ships" in report) == tuned
    metrics = json.loads((finished / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    assert metrics["as_given"]["images"] == 9


def test_dvc_repro_by_hand_does_the_same(finished):
    result = run(["dvc", "repro"], finished)
    assert result.returncode == 0, result.stderr
    assert "Data and pipelines are up to date." in result.stdout


@pytest.mark.usefixtures("sample_in_place")
def test_the_sample_is_neither_trivial_nor_hopeless():
    """The committed result of a default run on the committed sample."""
    metrics = json.loads((ROOT / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    assert metrics["images"] >= 45
    assert 0.6 < metrics["accuracy"] < 1.0


def test_a_run_stops_at_a_link_before_any_node(finished):
    outside = finished.parent / "outside"
    shutil.move(finished / "Datasets/train/asta", outside)
    (finished / "Datasets/train/asta").mkdir()
    for photo in outside.iterdir():
        (finished / "Datasets/train/asta" / photo.name).symlink_to(photo)
    result = run([sys.executable, "-m", "stages"], finished)
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("error: Datasets/train/asta/") for line in lines)
    assert all("a link to a file outside the folders of photos" in line for line in lines)
    rows = read_manifest(finished / MANIFEST)
    assert sum(row.status == ERROR for row in rows) == 6
    shutil.rmtree(finished / "Datasets/train/asta")
    shutil.move(outside, finished / "Datasets/train/asta")
    result = run([sys.executable, "-m", "stages"], finished)
    assert result.returncode == 0, result.stderr
    assert all(row.status == KEPT for row in read_manifest(finished / MANIFEST))


def test_a_run_ends_with_what_it_found_and_without_hints(finished):
    """As does one in which nothing ran; a single node and a rehearsal say nothing of it."""
    edit_params(finished, plot__dpi=51)
    stages = [sys.executable, "-m", "stages"]
    rehearsal = run([*stages, "--dry"], finished)
    assert "report  " not in rehearsal.stdout
    first, second = run(stages, finished), run(stages, finished)
    for result in (first, second):
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.endswith("report        artifacts/plot/report.html\n")
        assert not [hint for hint in ("dvc push", "git add", "autostage") if hint in result.stdout]
    assert first.stdout.split("\n\n")[-1] == second.stdout.split("\n\n")[-1]
    assert "Data and pipelines are up to date." in second.stdout
    assert "test accuracy" not in run([*stages, "validate"], finished).stdout
