"""Exports are made with kept training photos of all brands, the same ones each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from carbrand.export.sample_photos import MAX_PHOTOS, choose_photos, write_photos
from carbrand.node.errors import UserError
from carbrand.photos.manifest import EXCLUDED, KEPT, Row
from carbrand.photos.photo import read_photo
from tests.conftest import draw_dataset


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    """Drawn photos in Datasets/, below the current folder."""
    monkeypatch.chdir(tmp_path)
    draw_dataset(tmp_path / "Datasets", train=5, test=2)
    return tmp_path / "Datasets"


def rows(folder):
    return [
        Row(path.relative_to(folder.parent).as_posix(), path.parts[-3], path.parts[-2], status=KEPT)
        for path in sorted(folder.rglob("*.png"))
    ]


def brands(paths):
    return [path.split("/")[-2] for path in paths]


def test_both_halves_hold_every_brand_and_share_no_photo(datasets):
    chosen = choose_photos(datasets / "train", rows(datasets), datasets.parent)
    assert (
        brands(chosen.representative)[:3]
        == brands(chosen.check)[:3]
        == sorted({"asta", "bolt", "cirro"})
    )
    assert len(chosen.representative) + len(chosen.check) == 15
    assert not set(chosen.representative) & set(chosen.check)
    assert chosen == choose_photos(datasets / "train", rows(datasets), datasets.parent)


def test_photos_that_were_left_out_are_not_used(datasets):
    left_out = {"Datasets/train/asta/000.png", "Datasets/train/bolt/003.png"}
    manifest = [
        replace(row, status=EXCLUDED) if row.path in left_out else row for row in rows(datasets)
    ]
    chosen = choose_photos(datasets / "train", manifest, datasets.parent)
    used = {path.split("Datasets/")[1] for path in (*chosen.representative, *chosen.check)}
    assert used == {row.path.split("Datasets/")[1] for row in manifest if row.split == "train"} - {
        path.split("Datasets/")[1] for path in left_out
    }


@pytest.mark.parametrize("absolute", [True, False])
def test_test_photos_are_refused_however_their_folder_is_named(datasets, absolute):
    folder = datasets / "test"
    named = folder if absolute else folder.relative_to(datasets.parent)
    with pytest.raises(UserError, match=r"has no training photo that the manifest keeps\. Give"):
        choose_photos(named, rows(datasets), datasets.parent)


def test_a_folder_that_no_manifest_knows_is_taken_as_it_is(datasets):
    chosen = choose_photos(datasets / "test", [], datasets.parent)
    assert len(chosen.representative) == len(chosen.check) == 3


def test_one_photo_per_brand_serves_for_both(tmp_path):
    draw_dataset(tmp_path, train=1, test=1)
    chosen = choose_photos(tmp_path / "train", [], tmp_path)
    assert chosen.representative == chosen.check
    assert len(chosen.check) == 3


def test_of_many_photos_some_are_taken_from_everywhere(tmp_path):
    for brand in ("asta", "bolt"):
        (tmp_path / brand).mkdir()
        for number in range(200):
            (tmp_path / brand / f"{number:03}.jpg").touch()
    chosen = choose_photos(tmp_path, [], tmp_path)
    assert len(chosen.check) == len(chosen.representative) == MAX_PHOTOS
    numbers = [int(path[-7:-4]) for path in chosen.check if "asta" in path]
    assert max(np.diff(numbers)) <= 10
    assert numbers[-1] > 190


def test_a_folder_that_is_missing_or_empty_is_said(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UserError, match=r"--photos"):
            choose_photos(folder, [], tmp_path)


def test_photos_are_seen_as_by_the_model(datasets):
    paths = [str(path) for path in sorted((datasets / "train").rglob("*.png"))]
    written = write_photos(paths, 20, "pad", datasets / "photos.npy")
    for photo, path in zip(written, paths, strict=True):
        np.testing.assert_array_equal(photo, read_photo(path, 20, "pad"))
    np.testing.assert_array_equal(np.load(datasets / "photos.npy"), written)
