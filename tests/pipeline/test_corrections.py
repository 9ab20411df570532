"""corrections.csv: what a person says of a photo counts, and what nobody can have meant is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from carbrand.commands.preflight import make_tables
from carbrand.node.errors import UserError
from carbrand.photos.corrections import HEADER, lines_to_paste, read_corrections
from carbrand.photos.manifest import read_manifest
from carbrand.scores.files.suspects_file import read_suspects
from stages import features, train, validate
from tests.conftest import ROOT, draw_dataset, edit_params
from tests.support.small_networks import save_own_backbone

FILE = Path("Datasets/corrections.csv")
FOLDERS = Path("Datasets/train"), Path("Datasets/test")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw_dataset(Path("Datasets"))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    edit_params(tmp_path, features__size_px=64, features__views=1, train__epochs=3)
    return tmp_path


def checked(*rows: str):
    """The manifest by path, and the summary, with these rows of corrections."""
    FILE.write_text(HEADER + "".join(f"{row}\n" for row in rows), "utf-8")
    validate.main(Path("params.yaml"), *FOLDERS, Path("Datasets/groups.csv"), FILE, Path("checked"))
    manifest = {row.path: row for row in read_manifest(Path("checked/manifest.csv"))}
    return manifest, json.loads(Path("checked/summary.json").read_text("utf-8"))


def test_a_photo_counts_under_its_corrected_brand_and_is_where_it_was():
    first, second, third = (f"Datasets/train/asta/00{n}.png" for n in range(3))
    tested = "Datasets/test/cirro/000.png"
    before = sorted(Path("Datasets").rglob("*.png"))
    _, plain = checked()
    manifest, summary = checked(
        f"{first},bolt,a bolt from behind",
        f"{second},exclude,",
        f"{third},right",
        f"{tested},asta,",
        "Datasets/test/bolt/000.png,bolt,that is its folder",
    )
    assert [manifest[path].brand for path in (first, second, tested)] == ["bolt", "asta", "asta"]
    assert manifest[second].status == "excluded"
    assert manifest[second].issues == ("left_out",)
    assert plain["corrected"] == {"brand": 0, "exclude": 0, "right": 0}
    assert summary["corrected"] == {"brand": 2, "exclude": 1, "right": 2}
    assert (plain["train"], plain["test"]) == (
        {"asta": 6, "bolt": 6, "cirro": 6},
        {"asta": 3, "bolt": 3, "cirro": 3},
    )
    assert (summary["train"], summary["test"]) == (
        {"asta": 4, "bolt": 7, "cirro": 6},
        {"asta": 4, "bolt": 3, "cirro": 2},
    )
    assert (summary["images"], summary["kept"], summary["excluded"]) == (27, 26, 1)
    assert sorted(Path("Datasets").rglob("*.png")) == before


def test_a_copy_under_another_brand_is_no_conflict_once_it_is_corrected():
    shutil.copy("Datasets/train/asta/000.png", "Datasets/train/bolt/asta.png")
    with pytest.raises(UserError, match="bolt/asta"):
        checked()
    manifest, _ = checked("Datasets/train/bolt/asta.png,asta,")
    assert manifest["Datasets/train/bolt/asta.png"].issues == ("duplicate",)


GOOD = "Datasets/train/asta/000.png"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["Datasets/train/asta/nowhere.png,bolt,"], "there is no photo Datasets/train/asta/nowh"),
        ([f"{GOOD},dart,"], "cannot be of 'dart', expected asta, bolt, cirro, right or exclude"),
        ([f"{GOOD},,"], "row 1 below the header, is not `path,brand,note`"),
        ([f"{GOOD},bolt,", GOOD], "row 2 below the header, is not `path,brand,note`"),
        ([f"{GOOD},bolt,a note, with a comma"], "row 1 below the header, is not"),
        ([f"{GOOD},bolt,", f"{GOOD},right,"], "row 2 below the header, says another brand of"),
    ],
)
def test_what_nobody_can_have_meant_is_one_line_and_nothing_is_written(rows: list[str], words: str):
    with pytest.raises(UserError) as caught:
        checked(*rows)
    (line,) = caught.value.problems
    assert line.startswith(str(FILE))
    assert words in line
    assert not Path("checked").exists()


def test_all_mistakes_are_told_at_once():
    with pytest.raises(UserError) as caught:
        checked("Datasets/nowhere.png,bolt,", f"{GOOD},dart,")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("path;brand;note\n", "begins with 'path;brand;note', expected 'path,brand,note'"),
        ("photo,brand,note\n", "begins with 'photo,brand,note'"),
        ("p\0ath,brand\n", "orrections.csv"),
    ],
)
def test_a_file_that_is_no_table_of_corrections_is_one_line(tmp_path: Path, content, words):
    file = tmp_path / "corrections.csv"
    file.write_text(content, "utf-8")
    with pytest.raises(UserError) as caught:
        read_corrections(file)
    (line,) = caught.value.problems
    assert words in line


def test_what_a_spreadsheet_saves_is_read(tmp_path: Path):
    file = tmp_path / "corrections.csv"
    file.write_bytes('\ufeffpath,brand,note\r\n"a, b.png",bolt,x\r\n\r\n'.encode())
    assert read_corrections(file) == {"a, b.png": "bolt"}
    assert read_corrections(tmp_path / "missing.csv") == {}
    (tmp_path / "empty.csv").touch()
    assert read_corrections(tmp_path / "empty.csv") == {}
    file.write_text(HEADER + lines_to_paste([("a, b.png", 'say "x"')]), "utf-8")
    assert read_corrections(file) == {"a, b.png": 'say "x"'}


def test_a_brand_may_be_called_right():
    for split in FOLDERS:
        (split / "asta").rename(split / "right")
    manifest, _ = checked("Datasets/train/bolt/000.png,right,")
    assert manifest["Datasets/train/bolt/000.png"].brand == "right"


def suspects_of(*rows: str) -> set[str]:
    checked(*rows)
    params, learned = Path("params.yaml"), Path("features")
    features.main(params, Path("checked/manifest.csv"), Path(".vectors"), learned)
    train.main(params, learned, FILE, Path(".training"), Path("train"))
    return {suspect.path for suspect in read_suspects(Path("train/suspects.csv"))}


def test_a_run_makes_the_files_that_dvc_asks_for_where_they_were_deleted():
    groups = FILE.with_name("groups.csv")
    for file in (FILE, groups):
        file.unlink(missing_ok=True)
    make_tables()
    assert groups.read_text("utf-8") == (ROOT / "Datasets/groups.csv").read_text("utf-8")
    assert read_corrections(FILE) == {}
    FILE.write_text(f"{HEADER}{GOOD},right,\n", "utf-8")
    make_tables()
    assert read_corrections(FILE) == {GOOD: "right"}


@pytest.mark.usefixtures("on_tensorflow")
def test_a_photo_that_a_person_has_looked_at_is_no_suspect():
    save_own_backbone("small.h5")
    edit_params(Path(), features__backbone="small.h5")
    moved = Path("Datasets/train/asta/moved.png")
    Path("Datasets/train/bolt/000.png").rename(moved)
    assert str(moved) in suspects_of()
    found = suspects_of(f"{moved},right,")
    assert str(moved) not in found
    assert found  # the others are
    assert str(moved) not in suspects_of(f"{moved},bolt,")
