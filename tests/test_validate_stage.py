"""validate finds what ruins results, says so in the manifest, and touches no photo."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from carbrand.errors import UserError
from carbrand.manifest import read_manifest
from stages import validate
from tests.conftest import ROOT, draw_dataset, draw_photo, edit_params


@pytest.fixture
def project(tmp_path, monkeypatch):
    draw_dataset(tmp_path / "Datasets")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(project: Path, **severities: str):
    """The manifest by path, and the summary."""
    edit_params(project, **{f"validate__{code}": value for code, value in severities.items()})
    out = Path("out")
    validate.main(Path("params.yaml"), Path("Datasets/train"), Path("Datasets/test"), out)
    rows = {row.path: row for row in read_manifest(out / "manifest.csv")}
    return rows, json.loads((out / "summary.json").read_text("utf-8"))


def test_clean_folders_give_a_row_per_photo_and_true_counts(project):
    rows, summary = run(project)
    assert list(rows) == sorted(rows)
    assert all(path.startswith("Datasets/") for path in rows)
    row = rows["Datasets/train/asta/000.png"]
    assert (row.split, row.brand, row.width, row.height) == ("train", "asta", 48, 36)
    assert (row.format, row.mode, row.status, row.issues) == ("PNG", "RGB", "kept", ())
    assert (len(row.sha256), len(row.pixel_sha256), len(row.phash)) == (64, 64, 16)
    assert summary["images"] == summary["kept"] == 27
    assert summary["train"] == {"asta": 6, "bolt": 6, "cirro": 6}
    assert summary["test"] == {"asta": 3, "bolt": 3, "cirro": 3}
    assert summary["leaked"] == summary["errors"] == summary["excluded"] == 0


def test_a_copy_of_a_training_photo_is_a_leak_also_in_another_format(project):
    shutil.copy("Datasets/train/asta/001.png", "Datasets/test/asta/same_bytes.png")
    Image.open("Datasets/train/bolt/002.png").save("Datasets/test/bolt/same_pixels.bmp")
    rows, summary = run(project)
    for path, original in (
        ("Datasets/test/asta/same_bytes.png", "Datasets/train/asta/001.png"),
        ("Datasets/test/bolt/same_pixels.bmp", "Datasets/train/bolt/002.png"),
    ):
        assert rows[path].status == "excluded"
        assert rows[path].issues == ("leaked",)
        assert rows[path].duplicate_of == original
        assert rows[original].status == "kept"
    assert (summary["leaked"], summary["excluded"], summary["images"]) == (2, 2, 29)


def test_of_copies_inside_a_split_the_first_stays(project):
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/asta/copy.png")
    rows, summary = run(project)
    assert rows["Datasets/train/asta/001.png"].status == "kept"
    assert rows["Datasets/train/asta/copy.png"].issues == ("duplicate",)
    assert rows["Datasets/train/asta/copy.png"].duplicate_of == "Datasets/train/asta/001.png"
    assert summary["train"]["asta"] == 6
    assert summary["issues"]["duplicate"] == 1


def test_one_photo_under_two_brands_stops_the_pipeline(project):
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/bolt/odd.png")
    with pytest.raises(UserError) as caught:
        run(project)
    assert len(caught.value.problems) == 2  # either may be the wrong one
    assert "Datasets/train/bolt/odd.png" in str(caught.value)
    assert "under another brand" in str(caught.value)


def test_a_test_photo_of_unknown_brand_is_no_leak(project):
    """Its copy in train is under another brand: neither is used, so nothing was seen."""
    shutil.copy("Datasets/train/asta/001.png", "Datasets/test/bolt/odd.png")
    rows, summary = run(project, label_conflict="exclude")
    for path in ("Datasets/train/asta/001.png", "Datasets/test/bolt/odd.png"):
        assert (rows[path].status, rows[path].issues) == ("excluded", ("label_conflict",))
    assert summary["leaked"] == 0
    rows, summary = run(project, label_conflict="warn")
    assert rows["Datasets/test/bolt/odd.png"].leaked


def test_leaks_can_stop_the_pipeline(project):
    shutil.copy("Datasets/train/asta/001.png", "Datasets/test/asta/same.png")
    with pytest.raises(UserError, match=r"copy of Datasets/train/asta/001.png \(leaked\)"):
        run(project, leaked="error")
    rows, _ = run(project, leaked="warn")
    assert rows["Datasets/test/asta/same.png"].status == "kept"
    assert rows["Datasets/test/asta/same.png"].leaked


def test_an_unreadable_photo_stops_the_pipeline_and_is_in_the_manifest(project):
    Path("Datasets/test/asta/text.jpg").write_text("I am no photo")
    with pytest.raises(UserError) as caught:
        run(project)
    (problem,) = caught.value.problems
    assert problem.startswith("Datasets/test/asta/text.jpg is not a readable photo (none of JPEG")
    rows = {row.path: row for row in read_manifest(Path("out/manifest.csv"))}
    assert rows["Datasets/test/asta/text.jpg"].status == "error"


def test_all_unreadable_photos_are_told_at_once(project):
    for number in range(3):
        Path(f"Datasets/train/asta/bad{number}.png").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        run(project)
    assert len(caught.value.problems) == 3


def test_an_unreadable_photo_can_be_excluded(project):
    Path("Datasets/test/asta/text.jpg").write_text("I am no photo")
    rows, summary = run(project, unreadable="exclude")
    assert rows["Datasets/test/asta/text.jpg"].status == "excluded"
    assert rows["Datasets/test/asta/text.jpg"].issues == ("unreadable",)
    assert (summary["images"], summary["kept"], summary["issues"]["unreadable"]) == (28, 27, 1)


def test_a_brand_left_with_one_photo_stops_the_pipeline(project):
    for number in range(1, 6):
        Path(f"Datasets/train/asta/00{number}.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="asta holds 1 photo that can be used"):
        run(project, unreadable="exclude")


def test_severities_do_what_they_say(project):
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/asta/copy.png")
    copy = "Datasets/train/asta/copy.png"
    assert run(project, duplicate="warn")[0][copy].status == "kept"
    assert run(project, duplicate="warn")[0][copy].issues == ("duplicate",)
    assert run(project, duplicate="ignore")[0][copy].issues == ()
    with pytest.raises(UserError, match=r"is a copy of Datasets/train/asta/001.png \(duplicate\)"):
        run(project, duplicate="error")


@pytest.mark.parametrize("place", [".ipynb_checkpoints", "asta/.ipynb_checkpoints", "__MACOSX"])
def test_folders_that_tools_leave_behind_are_named_and_no_brand(project, place):
    for split in ("train", "test"):
        folder = Path("Datasets", split, place)
        folder.mkdir()
        shutil.copy("Datasets/train/asta/001.png", folder / "001.png")
    rows, summary = run(project)
    assert rows[f"Datasets/train/{place}/001.png"].issues == ("hidden",)
    assert (summary["images"], summary["leaked"]) == (27, 0)
    assert list(summary["train"]) == ["asta", "bolt", "cirro"]


def test_files_that_are_no_photos_are_named_and_stay_out(project):
    Path("Datasets/train/asta/.DS_Store").write_bytes(b"x")
    Path("Datasets/train/asta/notes.txt").write_bytes(b"x")
    rows, summary = run(project)
    assert rows["Datasets/train/asta/.DS_Store"].issues == ("hidden",)
    assert rows["Datasets/train/asta/notes.txt"].issues == ("not_a_photo",)
    assert summary["images"] == 27


@pytest.mark.parametrize(
    "name", ["ümläut é.png", "a,b;c.png", 'quo"te.png', "new\nline.png", "Icon\r.png"]
)
def test_odd_names_survive_the_manifest(project, name):
    draw_photo((9, 9, 9), 77).save(Path("Datasets/train/asta") / name)
    assert f"Datasets/train/asta/{name}" in run(project)[0]


def test_a_pipe_does_not_hang_the_stage(project):
    import os

    os.mkfifo("Datasets/train/asta/pipe.jpg")
    rows, _ = run(project, unreadable="exclude")
    assert rows["Datasets/train/asta/pipe.jpg"].issues == ("unreadable",)


def test_photos_stay_as_they_are(project):
    Path("Datasets/test/asta/text.jpg").write_text("I am no photo")
    before = {path: path.read_bytes() for path in Path("Datasets").rglob("*.*")}
    run(project, unreadable="exclude")
    assert {path: path.read_bytes() for path in Path("Datasets").rglob("*.*")} == before


def test_the_articles_photos_have_twenty_leaks(article_photos, tmp_path):
    out = tmp_path / "out"
    validate.main(ROOT / "params.yaml", article_photos / "train", article_photos / "test", out)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert (summary["images"], summary["leaked"], summary["kept"]) == (122, 20, 102)
    assert summary["test"] == {"audi": 8, "lamborghini": 11, "mercedes": 19}
    assert len(read_manifest(out / "manifest.csv")) == 122
