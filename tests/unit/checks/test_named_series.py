"""Series that the user names, in a file or by a pattern."""

from __future__ import annotations

import pytest

from carbrand.checks.named_series import name_series
from carbrand.node.errors import UserError
from carbrand.photos.manifest import Row

PATHS = (
    "Datasets/train/audi/a4/1.jpg",
    "Datasets/train/audi/a4/2.jpg",
    "Datasets/train/audi/video7_frame03.jpg",
    "Datasets/test/audi/video7_frame99.jpg",
    "Datasets/test/bmw/video7_frame99.jpg",
)
ROWS = [Row(path, path.split("/")[1], path.split("/")[2]) for path in PATHS]


def named(tmp_path, text: str | None, pattern: str = "") -> list[str]:
    file = tmp_path / "groups.csv"
    if text is not None:
        file.write_text(text, "utf-8")
    rows = [Row(row.path.replace("Datasets", str(tmp_path)), row.split, row.brand) for row in ROWS]
    return [row.series for row in name_series(rows, file, pattern)]


def test_nothing_is_named_without_a_file_and_a_pattern(tmp_path):
    assert named(tmp_path, None) == named(tmp_path, "path,group\n") == [""] * 5


def test_a_folder_and_a_photo_are_named_by_the_file(tmp_path):
    text = "path,group\ntrain/audi/a4/,garage\ntest/bmw/video7_frame99.jpg,street\n"
    assert named(tmp_path, text) == ["garage", "garage", "", "", "street"]


def test_a_photo_goes_before_its_folder(tmp_path):
    text = "path,group\ntrain/audi/a4,garage\ntrain/audi/a4/2.jpg,lawn\n"
    assert named(tmp_path, text)[:2] == ["garage", "lawn"]


def test_a_pattern_names_a_series_within_a_brand_over_both_splits(tmp_path):
    first, second, frame, test, other = named(tmp_path, None, r"^(video\d+)_")
    assert (first, second) == ("", "")
    assert frame == test == "audi/video7"
    assert other == "bmw/video7"


def test_the_file_goes_before_the_pattern(tmp_path):
    text = "path,group\ntrain/audi/video7_frame03.jpg,mine\n"
    assert named(tmp_path, text, r"^video\d+")[2] == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,group\ntrain/audi/a5,x\n", "line 2: there is no photo or folder 'train/audi/a5'"),
        ("path,group\ntrain/audi/a4,\n", "line 2: it names no group"),
        ("photo,scene\n", "first line must be `path,group`"),
        ("", "first line must be `path,group`"),
        ("path,group\ntrain/audi/a4,x\ntrain/audi/a4,y\n", "has two groups"),
    ],
)
def test_what_means_nothing_is_one_line_each(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        named(tmp_path, text)
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)


def test_a_pattern_that_is_none_is_named(tmp_path):
    with pytest.raises(UserError, match=r"series_pattern.*no regular expression"):
        named(tmp_path, None, "(")
