"""What lies in the folders is found, and what no classifier can be made of is said."""

from __future__ import annotations

import pytest

from carbrand.dataset import check_layout, find_files
from tests.conftest import draw_dataset, draw_photo


@pytest.fixture
def folders(tmp_path):
    draw_dataset(tmp_path)
    return {"train": tmp_path / "train", "test": tmp_path / "test"}


def test_a_good_layout_has_no_problem(folders):
    assert check_layout(folders) == []


def test_files_are_found_sorted_with_their_brand(folders):
    found = find_files(folders["train"], "train")
    assert len(found) == 18
    assert [file.path for file in found] == sorted(file.path for file in found)
    assert {(file.split, file.brand) for file in found} == {
        ("train", brand) for brand in ("asta", "bolt", "cirro")
    }


def test_a_folder_inside_a_brand_belongs_to_the_brand(folders):
    inside = folders["train"] / "asta" / "2019" / "spring"
    inside.mkdir(parents=True)
    draw_photo((1, 2, 3), 0).save(inside / "new.png")
    assert [f.brand for f in find_files(folders["train"], "train") if "spring" in f.path] == [
        "asta"
    ]


@pytest.mark.parametrize(
    ("name", "hidden", "photo"),
    [
        ("asta/a.JPG", False, True),
        ("asta/.a.jpg", True, False),
        ("asta/Thumbs.db", True, False),
        ("asta/notes.txt", False, False),
        ("a.jpg", False, False),  # beside the brands, so of no brand
    ],
)
def test_photos_are_told_from_other_files(folders, name, hidden, photo):
    (folders["test"] / name).write_bytes(b"x")
    (file,) = [f for f in find_files(folders["test"], "test") if f.path.endswith(name)]
    assert (file.is_hidden, file.is_photo) == (hidden, photo)


def test_a_missing_folder_is_said(folders, tmp_path):
    (problem,) = check_layout(folders | {"test": tmp_path / "none"})
    assert "none does not exist" in problem


def remove(folder):
    for file in folder.iterdir():
        file.unlink()


def test_one_brand_is_too_few(folders):
    for split in folders.values():
        for brand in ("asta", "bolt"):
            remove(split / brand)
            (split / brand).rmdir()
    problems = check_layout(folders)
    assert len(problems) == 2
    assert "holds 1 brand folder (cirro), expected at least 2" in problems[0]


def test_an_empty_brand_folder_is_said(folders):
    remove(folders["train"] / "bolt")
    (problem,) = check_layout(folders)
    assert "train/bolt holds no photo" in problem


def test_a_brand_with_one_training_photo_is_said(folders):
    for file in sorted((folders["train"] / "bolt").iterdir())[1:]:
        file.unlink()
    (problem,) = check_layout(folders)
    assert "train/bolt holds 1 photo that can be used, expected at least 2" in problem


def test_one_test_photo_will_do(folders):
    for file in sorted((folders["test"] / "bolt").iterdir())[1:]:
        file.unlink()
    assert check_layout(folders) == []


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_brand_in_one_split_only_is_said(folders, split):
    remove(folders[split] / "bolt")
    (folders[split] / "bolt").rmdir()
    (problem,) = check_layout(folders)
    assert f"{split}/bolt does not exist, but the brand `bolt` is in" in problem


@pytest.mark.parametrize("place", [".ipynb_checkpoints", "asta/.ipynb_checkpoints", "asta/@eaDir"])
def test_what_tools_leave_in_folders_is_hidden_and_no_brand(folders, place):
    (folders["train"] / place).mkdir()
    draw_photo((9, 9, 9), 1).save(folders["train"] / place / "a.png")
    (file,) = [f for f in find_files(folders["train"], "train") if place in f.path]
    assert file.is_hidden
    assert not file.is_photo
    assert check_layout(folders) == []


def test_a_name_that_dvc_cannot_store_is_said(folders):
    with open(bytes(folders["train"] / "asta") + b"/\xff.png", "wb"):  # noqa: PTH123
        pass
    (problem,) = check_layout(folders)
    assert "\\udcff.png: the name is no UTF-8" in problem


def test_a_brand_that_is_a_link_is_said(folders):
    (folders["train"] / "asta").rename(folders["train"].parent / "elsewhere")
    (folders["train"] / "asta").symlink_to(folders["train"].parent / "elsewhere")
    (problem,) = check_layout(folders)
    assert "train/asta is a link to a folder" in problem
