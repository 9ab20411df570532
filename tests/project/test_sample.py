"""The sample that the project draws itself: always the same, small, varied, never in the way."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from carbrand.node.errors import UserError
from carbrand.photos.photo import open_photo
from tests.conftest import ROOT
from tools import sample
from tools.sample import draw_photo, draw_sample, is_drawing
from tools.sample.canvas import nonzero_mask
from tools.sample.outlines import emblem

DATASETS = ROOT / "Datasets"
# Another Pillow brings another libjpeg and other rounding: then only the pixels are compared.
DRAWN_WITH_PILLOW = "13.0.0"


def _few(folder: Path, **changes: Any) -> int:
    """Draw one photo per split of one brand, but for the changes."""
    choice: dict[str, Any] = {"brands": ("audi",), "train_photos": 1, "test_photos": 1} | changes
    return draw_sample(folder, **choice)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _committed() -> dict[str, bytes]:
    return {path: data for path, data in _contents(DATASETS).items() if path.endswith(".jpg")}


def test_drawing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    assert _few(tmp_path) == 2
    first = _contents(tmp_path)
    assert sorted(first) == ["test/audi/001.jpg", "train/audi/001.jpg"]
    assert _few(tmp_path) == 2
    assert _contents(tmp_path) == first


def test_a_photo_does_not_depend_on_what_else_is_drawn(tmp_path: Path) -> None:
    _few(tmp_path, brands=("mercedes", "audi"), train_photos=2)
    drawn = _contents(tmp_path)
    assert len(drawn) == 6
    assert drawn["train/audi/002.jpg"] == draw_photo("audi", "train", 2)
    assert drawn["test/mercedes/001.jpg"] == draw_photo("mercedes", "test", 1)


def test_another_seed_draws_other_photos() -> None:
    assert draw_photo("audi", "train", 1, seed=7) != draw_photo("audi", "train", 1)


@pytest.mark.usefixtures("sample_in_place")
@pytest.mark.parametrize("brand", sample.BRANDS)
def test_sample_in_datasets_is_what_the_code_draws(brand: str) -> None:
    for split, number in (("train", 1), ("test", 16)):
        there = (DATASETS / split / brand / f"{number:03d}.jpg").read_bytes()
        drawn = draw_photo(brand, split, number)
        if PIL.__version__ == DRAWN_WITH_PILLOW:
            assert drawn == there, (
                f"{split}/{brand}/{number:03d}.jpg is outdated: run `make sample`"
            )
        else:
            one, other = (np.asarray(Image.open(io.BytesIO(data)), int) for data in (there, drawn))
            assert one.shape == other.shape
            assert np.abs(one - other).mean() < 3  # levels of 255


@pytest.mark.usefixtures("sample_in_place")
def test_datasets_holds_every_photo_that_the_defaults_draw() -> None:
    splits = {"train": sample.TRAIN_PHOTOS, "test": sample.TEST_PHOTOS}
    assert sample.TRAIN_PHOTOS >= 30
    assert sample.TEST_PHOTOS >= 15
    assert set(_committed()) == {
        f"{split}/{brand}/{number:03d}.jpg"
        for split, count in splits.items()
        for brand in sample.BRANDS
        for number in range(1, count + 1)
    }


@pytest.mark.usefixtures("sample_in_place")
def test_datasets_is_small() -> None:
    sizes = [len(data) for data in _committed().values()]
    assert sum(sizes) < 3_000_000
    assert max(sizes) < 25_000


@pytest.mark.usefixtures("sample_in_place")
def test_every_file_in_datasets_says_that_it_is_a_drawing() -> None:
    for path, data in _committed().items():
        assert is_drawing(data), path
        comment = Image.open(io.BytesIO(data)).info["comment"]
        assert comment.startswith(b"Drawn by carbrand sample, not a photograph"), path


@pytest.mark.usefixtures("sample_in_place")
def test_no_two_photos_are_alike_within_or_across_splits() -> None:
    small = {
        path: np.asarray(Image.open(io.BytesIO(data)).resize((24, 18)), float)
        for path, data in _committed().items()
    }
    paths = sorted(small)
    pictures = np.stack([small[path].ravel() for path in paths])
    for index, path in enumerate(paths[:-1]):
        distance = np.abs(pictures[index + 1 :] - pictures[index]).mean(axis=1)
        nearest = int(distance.argmin())
        assert distance[nearest] > 4, (path, paths[index + 1 + nearest])


def test_drawings_are_photos_that_the_pipeline_can_read(tmp_path: Path) -> None:
    _few(tmp_path)
    photo = open_photo(tmp_path / "train" / "audi" / "001.jpg")
    assert photo.size == (320, 240)
    assert photo.info["source_format"] == "JPEG"
    assert np.asarray(photo).std() > 10


def test_other_brands_can_be_drawn_and_differ(tmp_path: Path) -> None:
    assert _few(tmp_path, brands=("bmw", "toyota")) == 4
    assert len({hashlib.sha256(data).digest() for data in _contents(tmp_path).values()}) == 4


def test_an_unknown_brand_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'mercedez'.*Did you mean `mercedes`"):
        _few(tmp_path, brands=("audi", "mercedez"))
    assert _contents(tmp_path) == {}


def test_all_problems_of_a_request_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        _few(tmp_path, brands=("audii", "../bmw"), train_photos=0)
    assert len(caught.value.problems) == 3
    assert _contents(tmp_path) == {}


@pytest.mark.parametrize(
    "name", ["train/audi/001.jpg", "train/audi/mine.JPG", "test/fiat/001.png", "train/loose.jpeg"]
)
def test_a_folder_with_users_photos_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(path)
    before = _contents(tmp_path)
    with pytest.raises(UserError, match=path.name) as caught:
        _few(tmp_path)
    assert len(caught.value.problems) == 1
    assert _contents(tmp_path) == before


def test_a_drawing_that_was_edited_counts_as_the_users(tmp_path: Path) -> None:
    _few(tmp_path)
    path = tmp_path / "train" / "audi" / "001.jpg"
    Image.open(path).rotate(3).save(path)  # Pillow keeps the comment
    before = _contents(tmp_path)
    with pytest.raises(UserError, match="not part of this sample"):
        _few(tmp_path)
    assert _contents(tmp_path) == before


def test_drawings_of_another_seed_are_replaced_and_surplus_ones_never_deleted(
    tmp_path: Path,
) -> None:
    _few(tmp_path, seed=5)
    assert _few(tmp_path) == 2
    assert _contents(tmp_path)["train/audi/001.jpg"] == draw_photo("audi", "train", 1)
    before = _contents(tmp_path)
    with pytest.raises(UserError, match="audi"):
        _few(tmp_path, brands=("bmw",))
    assert _contents(tmp_path) == before


def test_other_files_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "train" / "audi").mkdir(parents=True)
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "train" / "audi" / ".gitkeep").write_text("")
    assert _few(tmp_path) == 2
    assert (tmp_path / "README.md").read_text() == "mine"


def test_drawing_does_not_write_through_links(tmp_path: Path) -> None:
    """The photos of a folder under DVC may be links into its cache."""
    _few(tmp_path / "data", seed=5)
    path = tmp_path / "data" / "train" / "audi" / "001.jpg"
    cached = tmp_path / "cached"
    path.rename(cached)
    path.symlink_to(cached)
    before = cached.read_bytes()
    _few(tmp_path / "data")
    assert cached.read_bytes() == before
    assert not path.is_symlink()


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        _few(tmp_path / "file")


def test_emblems_keep_their_holes() -> None:
    """Of four rings the insides must stay open: filled blobs would name no brand."""
    contours, _ = emblem("audi")
    mask = np.asarray(nonzero_mask([c * (200, -200) + (100, 100) for c in contours], (200, 200)))
    inside = mask[mask.any(axis=1)]
    assert 0.15 < (inside > 0).mean() < 0.55
