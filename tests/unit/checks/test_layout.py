"""What lies in the folders is found, and what no classifier can be made of is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbrand.checks.layout import STRICT, check_layout, find_dataset
from carbrand.node.errors import UserError
from carbrand.photos.folders.files import find_files
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
    ("name", "unsupported"),
    [("asta/a.AVIF", True), ("asta/.a.avif", False), ("a.avif", False), ("asta/a.jpg", False)],
)
def test_photos_of_formats_that_are_not_read_are_told_from_other_files(folders, name, unsupported):
    (folders["test"] / name).write_bytes(b"x")
    (file,) = [f for f in find_files(folders["test"], "test") if f.path.endswith(f"test/{name}")]
    assert file.is_unsupported_photo == unsupported


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
    assert "train/bolt holds no usable photo" in problem


def test_a_brand_with_one_training_photo_is_said(folders):
    for file in sorted((folders["train"] / "bolt").iterdir())[1:]:
        file.unlink()
    (problem,) = check_layout(folders)
    assert "train/bolt holds 1 usable photo, expected at least 2" in problem


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


def test_a_brand_in_one_split_only_can_be_left_out(folders):
    remove(folders["test"] / "bolt")
    (folders["test"] / "bolt").rmdir()
    remove(folders["train"] / "bolt")  # of a brand that stays out, no photo is asked for
    dataset = find_dataset(folders, STRICT | {"missing_brand": "exclude"})
    assert dataset.brands == {"train": ["asta", "bolt", "cirro"], "test": ["asta", "cirro"]}
    assert dataset.shared_brands == ["asta", "cirro"]
    assert [(f.code, f.brand) for f in dataset.findings] == [("missing_brand", "bolt")]
    (problem,) = check_layout(folders)[:1]
    assert problem.endswith("or set validate.missing_brand: exclude.")


def test_what_is_left_of_the_brands_must_be_two(folders):
    for split, brand in (("test", "bolt"), ("train", "asta")):
        remove(folders[split] / brand)
        (folders[split] / brand).rmdir()
    (problem,) = check_layout(folders, STRICT | {"missing_brand": "exclude"})
    assert "share 1 brand (cirro), expected at least 2" in problem


def test_a_brand_spelled_otherwise_in_the_other_split_is_one_line(folders):
    (folders["test"] / "bolt").rename(folders["test"] / "Bolt")
    (problem,) = check_layout(folders)
    assert "test/Bolt and " in problem
    assert "train/bolt look like the same brand" in problem
    assert problem.endswith("Give them one name, or set validate.similar_names: warn.")
    # Where spelling may differ, they are two brands, each in one split; the lines still tell why.
    problems = check_layout(folders, STRICT | {"similar_names": "ignore"})
    assert len(problems) == 2
    assert "test/bolt does not exist" in problems[1]
    assert "test/Bolt looks like the same brand." in problems[1]


def test_the_dataset_holds_every_file_of_both_splits(folders):
    dataset = find_dataset(folders, STRICT)
    assert dataset.files == [f for split, path in folders.items() for f in find_files(path, split)]
    assert len(dataset.files) == 27
    assert dataset.findings == []


def test_a_photo_in_no_brand_folder_is_told(folders):
    for name in ("b.jpg", "a.png", "c.gif", "d.gif", "notes.txt"):
        (folders["train"] / name).write_bytes(b"x")
    (finding,) = find_dataset(folders, STRICT).findings
    assert (finding.code, finding.folder) == ("no_brand", str(folders["train"]))
    assert (
        "holds 4 photos outside the brand folders (a.png, b.jpg, c.gif and 1 more)"
        in finding.message
    )
    (problem,) = check_layout(folders, STRICT | {"no_brand": "error"})
    assert problem.startswith(finding.message[:-1])


def fresh(tmp_path, *names):
    """Folders of both splits with these files in each."""
    folders = {split: tmp_path / "fresh" / split for split in ("train", "test")}
    for folder in folders.values():
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x")
    return folders


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["1.jpg", "2.jpg"],
            "holds 0 brand folders, expected at least 2. There are 2 photos outside the brand "
            "folders (1.jpg, 2.jpg). Put photos into",
        ),
        (["cars.zip"], "holds 0 brand folders, expected at least 2. Unpack cars.zip. Put"),
        (
            ["cars/audi/1.jpg", "cars/audi/2.jpg", "cars/bmw/1.jpg", "cars/bmw/2.jpg"],
            "holds 1 brand folder (cars), expected at least 2. If audi, bmw in",
        ),
        (["cars/1.jpg"], "holds 1 brand folder (cars), expected at least 2. Put photos into"),
        (
            ["audi/1.jpg", "audi/old/1.jpg", "audi/new/1.jpg"],
            "holds 1 brand folder (audi), expected at least 2. Put photos into",
        ),
    ],
)
def test_photos_at_the_wrong_level_are_told(tmp_path, names, said):
    problems = check_layout(fresh(tmp_path, *names))
    assert len(problems) == 2  # of each split
    assert all(said in problem for problem in problems)


def photos_of(*brands):
    return [f"{brand}/{number}.jpg" for brand in brands for number in range(2)]


@pytest.mark.parametrize("others", [(), ("audi", "bmw")])
def test_a_dataset_inside_a_split_is_told(tmp_path, others):
    inside = photos_of("train/audi", "train/bmw", "test/audi", "test/bmw")
    folders = fresh(tmp_path, *inside, *photos_of(*others))
    problems = check_layout(folders)
    assert len(problems) == 4
    assert "train/test is a split, not a brand: it holds audi, bmw. Move them into" in problems[0]
    assert problems[0].endswith(f"{folders['test']}.")


@pytest.mark.parametrize(
    "inside", [["train", "bus"], ["train/2019", "train/2020", "bus/2019", "bus/2021"]]
)
def test_a_brand_may_be_called_train(tmp_path, inside):
    assert check_layout(fresh(tmp_path, *photos_of(*inside))) == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["1.AVIF", "2.avif", ".DS_Store"],
            " (but 2 photos in an unsupported format, .avif: save as JPEG or PNG).",
        ),
        (["1.avif", "a.txt", "b"], " (but 3 files that are not photos: .avif, .txt, no suffix)."),
        (["photos.zip", "a.txt"], " (but photos.zip: unpack it)."),
        ([".DS_Store"], ". Add some"),
    ],
)
def test_what_a_brand_holds_instead_of_photos_is_told(folders, names, said):
    remove(folders["train"] / "bolt")
    for name in names:
        (folders["train"] / "bolt" / name).write_bytes(b"x")
    (problem,) = check_layout(folders)
    assert f"train/bolt holds no usable photo{said}" in problem


@pytest.mark.parametrize("name", ["Train", "training"])
def test_a_split_under_another_name_is_told(folders, name):
    renamed = folders["train"].parent / name
    folders["train"].rename(renamed)
    if folders["train"].exists():
        pytest.skip("a file system that does not tell upper from lower case")
    (problem,) = check_layout(folders)
    assert problem == f"{folders['train']} does not exist. Rename {renamed} if it is that one."


def test_a_file_in_the_place_of_a_split_is_told(folders, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (problem,) = check_layout(folders | {"test": tmp_path / "file"})
    assert "file is a file, expected a folder." in problem


def test_problems_of_both_splits_are_told_at_once(tmp_path):
    with pytest.raises(UserError) as caught:
        find_dataset({split: tmp_path / split for split in ("train", "test")}, STRICT)
    assert len(caught.value.problems) == 2


def test_a_name_of_two_lines_stays_one_line(folders):
    (folders["train"] / "two\nlines").mkdir()
    assert all("\n" not in problem for problem in check_layout(folders))
    assert len(check_layout(folders)) == 2  # missing from test, and empty


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
    assert "\\udcff.png: the name is not valid UTF-8" in problem


def test_a_brand_that_is_a_link_is_said(folders):
    (folders["train"] / "asta").rename(folders["train"].parent / "elsewhere")
    (folders["train"] / "asta").symlink_to(folders["train"].parent / "elsewhere")
    (problem,) = check_layout(folders)
    assert "train/asta is a link to a folder" in problem


def test_a_link_to_a_folder_inside_a_brand_is_said(folders, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folders["train"] / "asta" / "more").symlink_to(tmp_path / "elsewhere")
    (problem,) = check_layout(folders)
    assert "train/asta/more is a link to a folder" in problem


def test_a_folder_given_as_a_dot_gives_bare_paths(folders, monkeypatch):
    monkeypatch.chdir(folders["train"])
    assert find_files(Path(), "")[0].path == "asta/000.png"
