"""Copies that no hash finds are found by their vectors, and different photos are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from carbrand.network.extraction import extract
from carbrand.network.keras_import import import_keras
from carbrand.node.params import read_section
from carbrand.photos.copies_file import Copy, read_copies, write_copies
from carbrand.photos.folders.files import find_files
from carbrand.photos.manifest import Row
from carbrand.photos.photo import open_photo
from carbrand.photos.resizing import resize
from carbrand.vectors.alignment import align, grey_thumbnail
from carbrand.vectors.standardizer import Standardizer
from carbrand.vectors.vector_copies import PhotoSet, find_vector_copies
from stages.features import FeaturesParams, open_network, save_network
from tests.conftest import ROOT
from tests.support.edits import CROPS, EDITS
from tests.support.running import THOROUGH

# A stretched copy is for the hash to find.
ALL = {name: edit for name, edit in (EDITS | CROPS).items() if name != "stretched"}
SIZE_PX = 224
# Of the drawings, so many are edited in every way.
EDITED = slice(None, None, 1 if THOROUGH else 3)


@pytest.fixture(scope="module")
def drawings() -> list[Image.Image]:
    """A dozen photos of the sample, four of each brand, and pairs that are much alike."""
    files = [file.path for file in find_files(ROOT / "Datasets" / "train", "train")]
    alike = ("audi/007", "audi/008", "lamborghini/003", "lamborghini/015")
    chosen = {*files[::8], *(f"{ROOT / 'Datasets' / 'train' / name}.jpg" for name in alike)}
    return [open_photo(path) for path in sorted(chosen)]


def overlay(a: Image.Image, b: Image.Image):
    """How well one can be laid over the other."""
    aspects = a.width / a.height, b.width / b.height
    return align(grey_thumbnail(a), grey_thumbnail(b), *aspects)


@pytest.mark.usefixtures("sample_in_place")
@pytest.mark.parametrize("edit", ALL)
def test_an_edited_photo_can_be_laid_over_its_original(edit, drawings):
    for photo in drawings[EDITED]:
        found = overlay(ALL[edit](photo), photo)
        assert found.agrees
        assert found.mirrored == ("mirrored" in edit)


@pytest.mark.usefixtures("sample_in_place")
def test_different_photos_cannot_be_laid_over_one_another(drawings):
    pairs = [(a, b) for n, a in enumerate(drawings) for b in drawings[:n]]
    assert not any(overlay(a, b).agrees for a, b in pairs)


def test_photos_without_contrast_agree_with_nothing():
    white, black = (Image.new("RGB", (40, 40), colour) for colour in ("white", "black"))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    for a, b in ((white, black), (white, white), (white, noise)):
        assert overlay(a, b).similarity <= 0.5


def test_photos_of_any_shape_can_be_compared():
    rng = np.random.default_rng(0)
    shapes = ((1, 1), (400, 1), (1, 400), (30, 40))
    photos = [Image.fromarray(rng.integers(0, 256, (*s, 3), dtype=np.uint8)) for s in shapes]
    for a in photos:
        for b in photos:
            assert -1 <= overlay(a, b).similarity <= 1.000001


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    import_keras()  # or else no other test of this process could use TensorFlow
    defaults = read_section(ROOT / "params.yaml", "features", FeaturesParams)
    params = replace(defaults, size_px=SIZE_PX, pooling="avg")
    path = tmp_path_factory.mktemp("network") / "network.h5"
    save_network(path, params)
    return open_network(path, params)


def photo_set(photos: list[Image.Image], network, split: str = "train") -> PhotoSet:
    views = [[np.asarray(resize(photo, SIZE_PX, "stretch"))] for photo in photos]
    vectors = extract(views, list, network)
    return PhotoSet(
        [
            Row(f"{split}/{number}", split, "", photo.width, photo.height)
            for number, photo in enumerate(photos)
        ],
        np.concatenate(list(vectors)),
        np.stack([grey_thumbnail(photo) for photo in photos]),
    )


def space_of(photos: PhotoSet) -> Standardizer:
    return Standardizer.fit(photos.vectors[:, None], [photos.vectors.shape[1]])


@pytest.fixture(scope="module")
def originals(drawings, network) -> PhotoSet:
    return photo_set(drawings, network)


@pytest.mark.usefixtures("sample_in_place")
@pytest.mark.parametrize("edit", ALL)
def test_every_edited_photo_is_found_and_taken_for_no_other(edit, drawings, originals, network):
    edited = photo_set([ALL[edit](photo) for photo in drawings[EDITED]], network, "test")
    found = find_vector_copies(edited, originals, space_of(originals))
    own = range(len(drawings))[EDITED]
    assert [(pair.photo, pair.original) for pair in found] == list(enumerate(own))
    assert all(pair.mirrored == ("mirrored" in edit) for pair in found)


@pytest.mark.usefixtures("sample_in_place")
def test_inside_one_set_the_later_of_two_is_the_copy(drawings, originals, network):
    space = space_of(originals)
    assert find_vector_copies(originals, None, space) == []
    both = photo_set([*drawings, CROPS["crop"](drawings[3])], network)
    assert [(p.photo, p.original) for p in find_vector_copies(both, None, space)] == [
        (len(drawings), 3)
    ]


@pytest.mark.usefixtures("sample_in_place")
def test_candidates_are_found_across_blocks(originals, monkeypatch):
    """The blocks of the matrix product are no borders."""
    space = space_of(originals)
    again = [replace(row, path=f"again/{row.path}") for row in originals.rows]
    twice = PhotoSet(
        [*originals.rows, *again],
        np.concatenate([originals.vectors] * 2),
        np.concatenate([originals.thumbnails] * 2),
    )
    whole = find_vector_copies(twice, None, space)
    monkeypatch.setattr("carbrand.vectors.vector_copies._BLOCK", 5)
    assert find_vector_copies(twice, None, space) == whole
    n = len(originals.vectors)
    assert {(pair.photo, pair.original) for pair in whole} == {(n + k, k) for k in range(n)}


@pytest.mark.usefixtures("sample_in_place")
def test_what_hashes_told_is_not_looked_at_again(originals):
    """Copies of one cluster, and a leaked test photo on whatever else the model has seen."""
    tests = [
        replace(row, path=f"test/{row.path}", split="test", cluster="", issues=())
        for row in originals.rows
    ]
    tests[0] = replace(tests[0], cluster=originals.rows[0].path)
    tests[1] = replace(tests[1], issues=("leaked",))
    space = space_of(originals)
    found = find_vector_copies(replace(originals, rows=tests), originals, space)
    assert [pair.photo for pair in found] == list(range(2, len(tests)))


def test_a_vector_without_any_direction_is_near_to_nothing(originals):
    still = replace(originals, vectors=np.zeros_like(originals.vectors))
    assert find_vector_copies(still, None, space_of(still)) == []


def test_copies_come_back_from_their_file_sorted(tmp_path):
    copies = [
        Copy("b,\n.jpg", "a.jpg", "leaked", 0.951, True),
        Copy("a.jpg", "ü.jpg", "duplicate", 1.0, False),
    ]
    write_copies(tmp_path / "copies.csv", copies)
    assert read_copies(tmp_path / "copies.csv") == copies[::-1]
