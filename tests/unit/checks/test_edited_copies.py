"""Photos that were written on, turned, tilted, inverted or shown on a phone are found as copies,
and photos that only show the same kind of thing are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from carbrand.checks.copies.block_match import PICTURE_PX, BlockMatch
from carbrand.checks.copies.edit_candidates import EditCandidate, find_edit_candidates
from carbrand.checks.copies.edited_copies import MatchedPair, best_match, find_edited_copies
from carbrand.checks.copies.fingerprint import working_copy
from carbrand.checks.copies.window_hash import (
    HASH,
    TRANSFORMS,
    WINDOWS,
    hash_windows,
    pictures,
    transposed,
)
from carbrand.photos.folders.files import find_files
from carbrand.photos.photo import open_photo
from carbrand.photos.union_find import UnionFind
from tests.conftest import ROOT
from tests.support.edits import OVERLAYS

# Of those that are told, so many are surely copies; a bar may cover most of a small car.
LEAST_SURE, LEAST_SURE_BEHIND_A_BAR = 0.6, 0.4
SURE = BlockMatch(1.0, 1.0, 64, 1.0, exact=True)


@dataclass(frozen=True)
class Seen:
    """Photos in memory, what is remembered of each, and what a close look at each shows."""

    photos: list[Image.Image]
    hashes: list[np.ndarray]
    shown: list[list[np.ndarray]]

    @classmethod
    def of(cls, photos: Sequence[Image.Image]) -> Seen:
        greys = [working_copy(photo) for photo in photos]
        return cls(list(photos), [*map(hash_windows, greys)], [*map(pictures, greys)])


def search(*parts: Seen) -> list[MatchedPair]:
    """What is found among all of them."""
    shown = [pictures for part in parts for pictures in part.shown]
    hashes = [of_photo for part in parts for of_photo in part.hashes]

    def look(candidates: Sequence[EditCandidate]) -> Iterator[BlockMatch]:
        return (best_match(shown[it.first], shown[it.second], it.box_pairs) for it in candidates)

    return find_edited_copies(hashes, UnionFind(len(hashes)), [False] * len(hashes), look)


def pairs(found: Sequence[MatchedPair]) -> set[tuple[int, int]]:
    return {(pair.first, pair.second) for pair in found}


def clouds(seed: int) -> Image.Image:
    """Soft coloured clouds: nothing in them has an edge."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((300, 200), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def drawings() -> Seen:
    """Cars from the sample, of all brands and many in one studio, and some clouds."""
    files = [file.path for file in find_files(ROOT / "Datasets" / "train", "train")]
    return Seen.of([*map(open_photo, files[::8]), *map(clouds, range(4))])


@pytest.fixture(scope="module")
def cars(article_photos) -> Seen:
    """Every fifth of the article's training photos."""
    files = [file.path for file in find_files(article_photos / "train", "train")]
    return Seen.of([*map(open_photo, files[::5])])


def assert_found(originals: Seen, edit: str, least: float) -> None:
    """Each photo is a copy of its own original, and no one is of another."""
    sure = LEAST_SURE_BEHIND_A_BAR if edit == "band across" else LEAST_SURE
    found = search(originals, Seen.of([OVERLAYS[edit](photo) for photo in originals.photos]))
    count = len(originals.photos)
    assert pairs(found) <= {(number, number + count) for number in range(count)}
    assert len(found) >= least * count
    assert sum(pair.match.is_copy for pair in found) >= sure * count


@pytest.mark.usefixtures("sample_in_place")
@pytest.mark.parametrize("edit", OVERLAYS)
def test_an_edited_drawing_is_told_and_never_taken_for_another(edit, drawings):
    assert_found(drawings, edit, 0.93)


@pytest.mark.parametrize("edit", OVERLAYS)
def test_an_edited_photo_is_told_and_never_taken_for_another(edit, cars):
    assert_found(cars, edit, 0.92)


@pytest.mark.usefixtures("sample_in_place")
def test_different_drawings_are_no_pairs():
    files = find_files(ROOT / "Datasets", "")
    assert search(Seen.of([open_photo(file.path) for file in files if file.is_photo])) == []


def test_the_hashes_of_every_version_follow_from_those_of_the_photo():
    grey = working_copy(clouds(1)).resize((PICTURE_PX, PICTURE_PX))
    names = np.arange(len(WINDOWS))
    own = by_window(grey)
    assert set(own) == set(names.tolist())
    for version in TRANSFORMS:
        changed = Image.fromarray(np.ascontiguousarray(version.of_image(np.asarray(grey))))
        hashes = np.array([own[name] for name in names.tolist()], np.uint64)
        hashes = transposed(hashes) if version.transposed else hashes
        hashes = hashes ^ version.changed_signs()
        expected = dict(zip(version.of_windows(names).tolist(), hashes.tolist(), strict=True))
        assert by_window(changed) == expected


def by_window(grey: Image.Image) -> dict[int, int]:
    """The hashes of the whole picture's windows by their numbers."""
    found = hash_windows(grey)
    whole = (found["box"] == 0) & ~found["tilted"]
    return dict(zip(found["window"][whole].tolist(), found["hash"][whole].tolist(), strict=True))


def test_plain_photos_have_no_hashes_and_are_no_pairs():
    plain = [Image.new("RGB", (60, 40), colour) for colour in ("white", "black", "grey")]
    assert [len(hash_windows(photo.convert("L"))) for photo in plain] == [0, 0, 0]
    assert search(Seen.of(plain)) == []
    assert find_edited_copies([np.empty(0, HASH)], UnionFind(1), [True], lambda _: []) == []


def test_photos_of_any_shape_can_be_compared():
    rng = np.random.default_rng(0)
    shapes = ((1, 1), (1, 300), (300, 1), (2, 2), (2, 3000), (40, 30))
    noise = [Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8)) for shape in shapes]
    assert search(Seen.of(noise)) == []


def test_of_many_copies_of_one_photo_each_is_looked_at_once():
    """Not each with each; whatever order they come in, all end in one cluster."""
    photos = [clouds(number // 30) for number in range(60)]
    known = UnionFind(len(photos))
    hashes = [hash_windows(working_copy(photo)) for photo in photos]
    looks: list[EditCandidate] = []

    def look(candidates: Sequence[EditCandidate]) -> Iterator[BlockMatch]:
        looks.extend(candidates)
        return (SURE for _ in candidates)

    find_edited_copies(hashes, known, [True] * 60, look)
    assert known.labels().tolist() == [0] * 30 + [30] * 30
    assert len(looks) <= 60 * 8


def test_among_many_photos_one_window_that_agrees_by_chance_is_not_enough():
    def photo(*hashes: tuple[int, int]) -> np.ndarray:
        return np.array([(value, window, 0, False) for value, window in hashes], HASH)

    top, bottom, few_bits, many_bits = 2**40, 2**50, 0b10, 0b111110
    alone = [photo((top, 2)), photo((top ^ many_bits, 2))]
    near = [photo((top, 2)), photo((top ^ few_bits, 2))]
    twice = [photo((top, 2), (bottom, 3)), photo((top ^ many_bits, 2), (bottom ^ many_bits, 3))]
    many = [np.empty(0, HASH)] * 4000
    assert [len(find_edit_candidates(pair)) for pair in (alone, near, twice)] == [1, 1, 1]
    assert [len(find_edit_candidates(pair + many)) for pair in (alone, near, twice)] == [0, 1, 1]


def test_no_test_photo_decides_which_training_photos_are_copies():
    """The first two are copies of one another, whether or not a test photo joined them before."""
    photos = [clouds(1), OVERLAYS["caption"](clouds(1)), OVERLAYS["logo"](clouds(1))]
    hashes = [hash_windows(working_copy(photo)) for photo in photos]
    known = UnionFind(3)
    known.union(np.array([0, 1]), np.array([2, 2]))
    found = find_edited_copies(hashes, known, [True, True, False], lambda it: [SURE] * len(it))
    assert pairs(found) == {(0, 1)}
