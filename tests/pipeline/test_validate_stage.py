"""validate finds what ruins results, says so in the manifest, and touches no photo."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from carbrand.checks.issues import UNUSABLE
from carbrand.commands.preflight import MANIFEST, note_unread_heic
from carbrand.node.errors import UserError
from carbrand.photos.decode import heif_file
from carbrand.photos.folders.folder_findings import read_findings
from carbrand.photos.manifest import Row, read_manifest, write_manifest
from carbrand.photos.photo import UNREAD_HEIC, open_photo
from carbrand.photos.severities import CopySeverities, severities_of_run
from stages import validate
from tests.conftest import PAINTS, ROOT, draw_dataset, draw_photo, edit_params
from tests.support.edits import EDITS, Edit, jpeg


@pytest.fixture
def project(tmp_path, monkeypatch):
    draw_dataset(tmp_path / "Datasets", train=3, test=1)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def use_drawings(project: Path) -> None:
    """Photos of the sample, a few of each brand, under the names of this project's brands."""
    shutil.rmtree(project / "Datasets")
    for split in ("train", "test"):
        for brand, source in zip(
            PAINTS, sorted((ROOT / "Datasets" / split).iterdir()), strict=True
        ):
            target = project / "Datasets" / split / brand
            target.mkdir(parents=True)
            for number in range(1, 4):
                shutil.copy(source / f"{number:03}.jpg", target)


def plant(edit: Edit, original: str, copy: str) -> None:
    edit(open_photo(original)).save(copy)


def run(project: Path, **severities: object):
    """The manifest by path, and the summary."""
    edit_params(project, **{f"validate__{code}": value for code, value in severities.items()})
    out = Path("out")
    datasets = Path("Datasets")
    said = datasets / "groups.csv", datasets / "corrections.csv"
    validate.main(Path("params.yaml"), datasets / "train", datasets / "test", *said, out)
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
    assert summary["images"] == summary["kept"] == 12
    assert summary["train"] == {"asta": 3, "bolt": 3, "cirro": 3}
    assert summary["test"] == {"asta": 1, "bolt": 1, "cirro": 1}
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
    assert (summary["leaked"], summary["excluded"], summary["images"]) == (2, 2, 14)


def test_of_copies_inside_a_split_the_first_stays(project):
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/asta/copy.png")
    rows, summary = run(project)
    assert rows["Datasets/train/asta/001.png"].status == "kept"
    assert rows["Datasets/train/asta/copy.png"].issues == ("duplicate",)
    assert rows["Datasets/train/asta/copy.png"].duplicate_of == "Datasets/train/asta/001.png"
    assert summary["train"]["asta"] == 3
    assert summary["issues"]["duplicate"] == 1


def test_one_photo_under_two_brands_stops_the_pipeline(project):
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/bolt/odd.png")
    with pytest.raises(UserError) as caught:
        run(project)
    assert len(caught.value.problems) == 1  # both are named in it: either may be the wrong one
    assert "Datasets/train/asta/001.png" in str(caught.value)
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
        run(project, unreadable="error")
    (problem,) = caught.value.problems
    assert problem.startswith("Datasets/test/asta/text.jpg is not a readable photo (")
    assert problem.endswith("or set validate.unreadable: exclude")
    rows = {row.path: row for row in read_manifest(Path("out/manifest.csv"))}
    assert rows["Datasets/test/asta/text.jpg"].status == "error"


def test_all_unreadable_photos_are_told_at_once(project):
    for number in range(3):
        Path(f"Datasets/train/asta/bad{number}.png").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        run(project, unreadable="error")
    assert len(caught.value.problems) == 3


def test_an_unreadable_photo_can_be_excluded(project):
    Path("Datasets/test/asta/text.jpg").write_text("I am no photo")
    rows, summary = run(project, unreadable="exclude")
    assert rows["Datasets/test/asta/text.jpg"].status == "excluded"
    assert rows["Datasets/test/asta/text.jpg"].issues == ("unreadable",)
    assert (summary["images"], summary["kept"], summary["issues"]["unreadable"]) == (13, 12, 1)


def test_a_brand_left_with_one_photo_stops_the_pipeline(project):
    for number in range(1, 3):
        Path(f"Datasets/train/asta/00{number}.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="asta holds 1 usable photo"):
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
    assert (summary["images"], summary["leaked"]) == (12, 0)
    assert list(summary["train"]) == ["asta", "bolt", "cirro"]


def test_files_that_are_no_photos_are_named_and_stay_out(project):
    Path("Datasets/train/asta/.DS_Store").write_bytes(b"x")
    Path("Datasets/train/asta/notes.txt").write_bytes(b"x")
    rows, summary = run(project)
    assert rows["Datasets/train/asta/.DS_Store"].issues == ("hidden",)
    assert rows["Datasets/train/asta/notes.txt"].issues == ("not_a_photo",)
    assert summary["images"] == 12


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


def test_the_articles_photos_have_twenty_leaks_and_a_mirrored_one(article_photos, tmp_path):
    out = tmp_path / "out"
    folders, nothing = (article_photos / "train", article_photos / "test"), tmp_path / "no.csv"
    validate.main(ROOT / "params.yaml", *folders, nothing, nothing, out)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["leaked_by"] == {"bytes": 20, "pixels": 0, "hash": 1}
    assert (summary["images"], summary["leaked"], summary["kept"]) == (122, 21, 101)
    assert summary["test"] == {"audi": 8, "lamborghini": 10, "mercedes": 19}
    rows = {
        Path(row.path).relative_to(article_photos).as_posix(): row
        for row in read_manifest(out / "manifest.csv")
    }
    assert len(rows) == 122
    assert rows["test/lamborghini/28.jpg"].duplicate_of.endswith("train/lamborghini/12.jpg")
    wrong = {name for name, row in rows.items() if "wrong_extension" in row.issues}
    assert wrong == {"train/mercedes/3.jpg", "train/mercedes/4.jpg"}
    # Nothing else is said of these photos: no false alarm.
    codes = {code for row in rows.values() for code in row.issues}
    assert codes == {"leaked", "wrong_extension", "palette"}


@pytest.mark.usefixtures("sample_in_place")
@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_training_photo_among_the_test_photos_is_a_leak(edit, project):
    use_drawings(project)
    original = "Datasets/train/asta/001.jpg"
    plant(EDITS[edit], original, "Datasets/test/asta/planted.png")
    rows, summary = run(project)
    planted = rows["Datasets/test/asta/planted.png"]
    assert (planted.status, planted.issues[-1], planted.match) == ("excluded", "leaked", "hash")
    assert planted.duplicate_of == original
    assert summary["leaked"] == summary["leaked_by"]["hash"] == 1
    assert summary["issues"]["duplicate"] == summary["issues"]["label_conflict"] == 0


@pytest.mark.usefixtures("sample_in_place")
def test_edited_copies_inside_a_split_and_under_two_brands_are_found(project):
    use_drawings(project)
    plant(EDITS["mirrored"], "Datasets/train/asta/001.jpg", "Datasets/train/asta/planted.png")
    plant(EDITS["half as large"], "Datasets/test/bolt/001.jpg", "Datasets/test/bolt/planted.png")
    rows, _ = run(project)
    for split, brand in (("train", "asta"), ("test", "bolt")):
        planted = rows[f"Datasets/{split}/{brand}/planted.png"]
        assert (planted.status, planted.issues) == ("excluded", ("duplicate",))
        first = rows[planted.duplicate_of]
        assert first.path == f"Datasets/{split}/{brand}/001.jpg"
        assert first.status == "kept"
        assert first.cluster == planted.cluster == first.path
    plant(EDITS["saved anew"], "Datasets/train/asta/002.jpg", "Datasets/train/bolt/planted.png")
    with pytest.raises(UserError, match=r"holds the same photo as .*, under another brand"):
        run(project)


@pytest.mark.usefixtures("sample_in_place")
def test_a_conflict_is_told_by_the_photo_that_contradicts(project):
    """Not by a copy of the same brand, which is right."""
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/asta/copy.png")
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/bolt/odd.png")
    with pytest.raises(UserError) as caught:
        run(project)
    for problem in caught.value.problems:
        one, other = (path.split("/")[2] for path in re.findall(r"Datasets/\S+\.png", problem))
        assert {one, other} == {"asta", "bolt"}
    rows, _ = run(project, label_conflict="warn")
    # Which brand is right nobody knows: one photo of each stays, its copy goes.
    assert rows["Datasets/train/bolt/odd.png"].status == "kept"
    assert rows["Datasets/train/asta/001.png"].status == "kept"
    assert rows["Datasets/train/asta/copy.png"].status == "excluded"


def test_copies_to_be_ignored_are_not_told_but_share_a_fold(project):
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/asta/copy.png")
    row = run(project, duplicate="ignore")[0]["Datasets/train/asta/copy.png"]
    assert (row.status, row.issues, row.duplicate_of, row.match) == ("kept", (), "", "")
    assert row.cluster == "Datasets/train/asta/001.png"


def test_an_error_of_one_photo_is_not_followed_by_false_ones(project):
    for number in range(2, 3):
        Path(f"Datasets/train/asta/00{number}.png").unlink()
    shutil.copy("Datasets/train/asta/001.png", "Datasets/train/bolt/a\nb.png")
    with pytest.raises(UserError) as caught:
        run(project)
    assert len(caught.value.problems) == 1  # not a word of too few photos
    assert all("\n" not in problem for problem in caught.value.problems)


def test_near_distance_says_how_near(project):
    use_drawings(project)
    for brand in PAINTS:
        for number in range(1, 4):
            original = f"Datasets/train/{brand}/{number:03}.jpg"
            plant(lambda photo: jpeg(photo, 3), original, f"Datasets/test/{brand}/{number}.png")
    found = [run(project, near_distance=bits)[1]["leaked"] for bits in (0, 4, 11)]
    assert found[0] < found[1] <= found[2] == 9


def test_a_photo_that_stays_out_is_no_original(project):
    """Else both would be gone: one as too dark, one as its copy."""
    for name in ("aaa.png", "copy.png"):
        draw_photo((30, 30, 30), 77).point(lambda value: value // 2).save(
            f"Datasets/train/asta/{name}"
        )
    rows, _ = run(project, dark="exclude")
    assert rows["Datasets/train/asta/aaa.png"].issues == ("dark",)
    assert rows["Datasets/train/asta/copy.png"].issues == ("dark",)
    rows, _ = run(project, dark="warn")
    assert rows["Datasets/train/asta/aaa.png"].status == "kept"
    assert rows["Datasets/train/asta/copy.png"].issues == ("dark", "duplicate")


def save_tiny(path: Path) -> None:
    draw_photo((200, 30, 30), 900, (40, 20)).save(path)


def save_long(path: Path) -> None:
    draw_photo((200, 30, 30), 901, (400, 40)).save(path)


def save_dark(path: Path) -> None:
    draw_photo((20, 20, 20), 902).point(lambda value: value // 8).save(path)


def save_plain(path: Path) -> None:
    Image.new("RGB", (60, 60), (120, 90, 200)).save(path)


def save_cut(path: Path) -> None:
    draw_photo((200, 30, 30), 903).save(path)
    path.write_bytes(path.read_bytes()[:-200])


def save_broken_checksum(path: Path) -> None:
    draw_photo((200, 30, 30), 904).save(path)
    data = bytearray(path.read_bytes())
    data[-14] ^= 1  # in the checksum of the pixels, before the end marker
    path.write_bytes(data)


def test_a_heic_photo_is_kept_and_only_then_the_origin_names_what_read_it(project):
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    run(project)
    assert "pillow-heif" not in (Path("out") / "origin.json").read_text("utf-8")
    photo = Path("Datasets/train/asta/IMG_1.HEIC")
    pillow_heif.from_pillow(draw_photo((9, 99, 9), 908)).save(photo)
    rows, _ = run(project)
    assert (rows[photo.as_posix()].status, rows[photo.as_posix()].format) == ("kept", "HEIF")
    assert "pillow-heif" in (Path("out") / "origin.json").read_text("utf-8")


def test_photos_that_can_be_read_since_are_noted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    MANIFEST.parent.mkdir(parents=True)
    row = Row("a.heic", "train", "asta", issues=("unsupported_format",), reason=UNREAD_HEIC)
    write_manifest(MANIFEST, [row, replace(row, path="b.heic")])
    monkeypatch.setattr(heif_file, "IS_READ", False)
    note_unread_heic()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(heif_file, "IS_READ", True)
    note_unread_heic()
    said = capsys.readouterr().err
    assert said.replace("\N{NO-BREAK SPACE}", " ").startswith("note: 2 HEIC photos could not be")
    assert "`dvc repro --single-item --force validate`" in said


SAVE = {
    "too_small": save_tiny,
    "extreme_aspect": save_long,
    "dark": save_dark,
    "one_colour": save_plain,
    "damaged": save_broken_checksum,
    "wrong_extension": lambda path: draw_photo((9, 99, 9), 905).save(path, "BMP"),
    "palette": lambda path: draw_photo((9, 99, 9), 906).convert("P").save(path),
    "alpha": lambda path: (
        draw_photo((9, 99, 9), 907).convert("RGBA").point(lambda v: v // 2).save(path)
    ),
    "truncated": save_cut,
    "unreadable": lambda path: path.write_text("I am no photo"),
    "unsupported_format": lambda path: path.write_bytes(b"\0\0\0\x18ftypavif" + b"\0" * 40),
}


@pytest.mark.parametrize("code", SAVE)
def test_a_check_has_the_severity_that_params_say(code, project):
    file = Path("Datasets/train/asta/odd.png")
    SAVE[code](file)
    odd = file.as_posix()
    rows, summary = run(project)
    assert code in rows[odd].issues
    assert summary["issues"][code] == 1
    assert rows[odd].status == ("excluded" if code in UNUSABLE else "kept")
    rows, _ = run(project, **{code: "exclude"})
    assert rows[odd].status == "excluded"
    with pytest.raises(UserError, match=rf"odd\.png .*set validate\.{code}: exclude"):
        run(project, **{code: "error"})
    if code not in UNUSABLE:
        rows, summary = run(project, **{code: "ignore"})
        assert code not in rows[odd].issues
        assert summary["issues"][code] == 0


def test_limits_are_those_of_the_params(project):
    photo = "Datasets/train/asta/000.png"  # 48 x 36
    assert "too_small" not in run(project, min_side_px=36)[0][photo].issues
    assert "too_small" in run(project, min_side_px=37)[0][photo].issues
    assert "extreme_aspect" in run(project, max_aspect=1.3)[0][photo].issues
    draw_photo((9, 9, 99), 908, (1100, 1000)).save("Datasets/train/asta/large.jpg")
    rows, _ = run(project, max_megapixels=1)
    assert rows["Datasets/train/asta/large.jpg"].issues == ("too_large",)
    assert "1100x1000 pixels" in rows["Datasets/train/asta/large.jpg"].reason


def test_a_brand_in_one_split_only_can_stay_out(project):
    shutil.rmtree("Datasets/test/cirro")
    with pytest.raises(UserError, match=r"set validate\.missing_brand: exclude"):
        run(project)
    shutil.copy("Datasets/train/cirro/000.png", "Datasets/test/asta/odd.png")
    rows, summary = run(project, missing_brand="exclude")
    assert rows["Datasets/train/cirro/000.png"].issues == ("missing_brand",)
    assert summary["train"] == {"asta": 3, "bolt": 3, "cirro": 0}
    assert (summary["excluded"], summary["issues"]["missing_brand"]) == (3, 1)
    # what is not learned from cannot leak
    assert rows["Datasets/test/asta/odd.png"].status == "kept"


def test_findings_about_folders_are_written_and_can_stop_the_pipeline(project):
    _, summary = run(project)
    findings = read_findings(Path("out/folders.csv"))
    assert {finding.code for finding in findings} == {"few_photos"}
    assert len(findings) == summary["issues"]["few_photos"] == 6
    with pytest.raises(UserError) as caught:
        run(project, few_photos="error")
    assert len(caught.value.problems) == 6
    assert run(project, few_photos="ignore")[1]["issues"]["few_photos"] == 0


def test_how_severe_copies_are_is_on_record(project):
    run(project, duplicate="warn")
    origin = json.loads(Path("out/origin.json").read_text("utf-8"))
    assert severities_of_run(origin["parameters"]) == CopySeverities(
        label_conflict="error", leaked="exclude", duplicate="warn"
    )
    assert set(origin["versions"]) == {"pillow", "imagehash", "simplejpeg", "numpy", "python"}


def test_a_link_out_of_the_folders_is_no_photo(project):
    draw_photo((9, 9, 9), 3).save(project / "elsewhere.png")
    Path("Datasets/train/asta/link.png").symlink_to(project / "elsewhere.png")
    Path("Datasets/train/asta/inside.png").symlink_to(project / "Datasets/train/asta/000.png")
    rows, _ = run(project)
    assert rows["Datasets/train/asta/link.png"].issues == ("unreadable",)
    assert "outside the folders" in rows["Datasets/train/asta/link.png"].reason
    assert rows["Datasets/train/asta/inside.png"].issues == ("duplicate",)
