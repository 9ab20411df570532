"""Other versions of a photo are found whatever was done to it, and no other photo with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from carbrand.checks.copies.fingerprint import SIGNATURE_PX, Fingerprint, fingerprint
from carbrand.checks.copies.hash_search import MAX_DISTANCE, find_hamming_neighbours
from carbrand.checks.copies.mark_copies import mark_copies
from carbrand.checks.copies.near_duplicates import find_near_duplicates
from carbrand.checks.copies.window_hash import TRANSFORMS
from carbrand.photos.folders.files import find_files
from carbrand.photos.manifest import Row
from carbrand.photos.photo import open_photo
from carbrand.photos.union_find import UnionFind
from tests.conftest import ROOT
from tests.support.edits import EDITS, with_border

DISTANCE = 10


@pytest.fixture(scope="module")
def drawings() -> list[Image.Image]:
    """Thirty photos of the sample, ten of each brand: cars from the front, all much alike."""
    files = [file.path for file in find_files(ROOT / "Datasets" / "train", "train")]
    return [open_photo(path) for path in files[::3][:30]]


def clusters_of(photos: list[Image.Image]) -> np.ndarray:
    return find_near_duplicates([fingerprint(photo) for photo in photos], DISTANCE).labels()


@pytest.mark.usefixtures("sample_in_place")
@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_photo_is_found_and_never_taken_for_another(edit, drawings):
    labels = clusters_of(drawings + [EDITS[edit](photo) for photo in drawings])
    # Each photo is in a cluster with its copy, and with nothing else.
    assert labels.tolist() == list(range(len(drawings))) * 2


def test_no_test_photo_decides_which_training_photos_stay():
    """The test photo is near to both; they are not near to each other."""
    picture = np.random.default_rng(0).integers(0, 256, (SIGNATURE_PX, SIGNATURE_PX), np.uint8)
    hashes = {"train/a/1.png": 0, "train/a/2.png": 0xFFFF, "train/a/3.png": 0xFFFF}
    near = {"test/a/1.png": 0xFF}

    def mark(photos: dict[str, int]) -> dict[str, tuple[str, ...]]:
        rows = [
            Row(path, path.split("/")[0], "a", sha256=path, pixel_sha256=path) for path in photos
        ]
        frames = [
            (Fingerprint(phash, ~phash & 2**64 - 1, picture, False),) for phash in photos.values()
        ]
        return {row.path: row.issues for row in mark_copies(rows, frames, DISTANCE)}

    alone = mark(hashes)
    assert alone == {
        "train/a/1.png": (),
        "train/a/2.png": (),
        "train/a/3.png": ("duplicate",),
    }
    assert mark(hashes | near) == alone | {"test/a/1.png": ("leaked",)}


@pytest.mark.usefixtures("sample_in_place")
def test_different_photos_in_the_same_frame_are_different(drawings):
    framed = [with_border(photo, "white") for photo in drawings]
    assert len(set(clusters_of(framed).tolist())) == len(framed)


def test_among_the_articles_photos_only_true_copies_are_found(article_photos):
    """20 pairs have the same bytes. One more was mirrored and saved anew: seen and confirmed."""
    paths = [file.path for file in find_files(article_photos, "")]
    photos = [open_photo(path) for path in paths]
    labels = clusters_of(photos)
    pixels: dict[bytes, int] = {}
    by_pixels = [pixels.setdefault(photo.tobytes(), n) for n, photo in enumerate(photos)]
    beyond = {
        Path(paths[n]).relative_to(article_photos).as_posix()
        for n in range(len(paths))
        if labels[n] != by_pixels[n]
    }
    # sorted by path, test/12 comes first of test/12, test/28 and train/12
    assert beyond == {"test/lamborghini/28.jpg"}
    assert len(paths) - len(set(labels.tolist())) == 21


def box_with_a_print(seed: int) -> Image.Image:
    """A product in front of a fixed camera: always the same box, each with another print."""
    photo = Image.new("RGB", (300, 200), (225, 225, 225))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((60, 30, 240, 185), fill=(90, 90, 100), outline="black", width=4)
    draw.ellipse((80, 150, 120, 190), fill=(30, 30, 30))
    draw.ellipse((180, 150, 220, 190), fill=(30, 30, 30))
    rng = np.random.default_rng(seed)
    for square, colour in enumerate(rng.integers(0, 256, (40, 3))):
        left, top = 110 + square % 8 * 10, 70 + square // 8 * 10
        draw.rectangle((left, top, left + 9, top + 9), fill=tuple(int(c) for c in colour))
    return photo


def test_products_of_one_shape_with_different_prints_are_different():
    boxes = [box_with_a_print(seed) for seed in range(30)]
    assert clusters_of(boxes).tolist() == list(range(30))
    again = [EDITS["saved anew"](box) for box in boxes]
    assert clusters_of(boxes + again).tolist() == list(range(30)) * 2


def test_photos_without_contrast_are_no_copies_of_one_another():
    plain = [Image.new("RGB", (60, 40), (value, value, value)) for value in (0, 100, 101, 255)]
    assert [fingerprint(photo) for photo in plain] == [()] * 4
    assert clusters_of(plain).tolist() == [0, 1, 2, 3]


def test_tiny_and_narrow_photos_have_fingerprints():
    for size in ((1, 1), (1, 300), (300, 1), (2, 2), (3000, 2)):
        noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        fingerprint(Image.fromarray(noise))


def frame(phash: int, seed: int, mirrored: int = 0) -> tuple[Fingerprint, ...]:
    """What is remembered of a photo; another seed, another picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)
    return (Fingerprint(phash, mirrored or ~phash & (2**64 - 1), noise, bordered=False),)


def test_different_pictures_of_one_hash_hide_no_copies():
    """X and Y share a hash by chance; Y2 is a copy of Y, a few bits away; so is Y3 of the hash."""
    x, z, y = frame(5, seed=1), frame(5, seed=2), frame(5, seed=3)
    y2, y3 = frame(6, seed=3), frame(5, seed=3)
    assert find_near_duplicates([x, y, z, y3, y2], 4).labels().tolist() == [0, 1, 2, 1, 1]


def test_equal_pictures_of_far_hashes_are_no_candidates():
    """Whatever lies between them: the distance alone decides who is compared."""
    far = [frame(0, seed=1), frame(2**44 - 1, seed=1)]
    assert find_near_duplicates(far, 0).labels().tolist() == [0, 1]
    assert find_near_duplicates([*far, frame(2**20, seed=2)], 11).labels().tolist() == [0, 1, 2]


def test_a_thousand_frames_of_one_hash_are_no_trouble():
    many = [frame(7, seed=number % 500) for number in range(1000)]
    labels = find_near_duplicates(many, 4).labels()
    assert labels.tolist() == list(range(500)) * 2


def brute_force(queries: np.ndarray, hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    apart = np.bitwise_count(queries[:, None] ^ hashes[None])
    return {(int(a), int(b)) for a, b in zip(*np.nonzero(apart <= distance), strict=True)}


@pytest.mark.parametrize("distance", [0, 3, 4, 7, 8, MAX_DISTANCE])
def test_the_hash_search_finds_all_pairs_and_no_other(distance):
    rng = np.random.default_rng(distance)
    hashes = rng.integers(0, 2**64, 400, dtype=np.uint64)
    # for each of them others at every distance up to 14 bits
    flips = [
        sum(1 << int(bit) for bit in rng.choice(64, n % 15, replace=False)) for n in range(400)
    ]
    queries = hashes ^ np.array(flips, np.uint64)
    pairs = [
        (int(a), int(b))
        for rows, others in find_hamming_neighbours(queries, hashes, distance)
        for a, b in zip(rows, others, strict=True)
    ]
    found = set(pairs)
    assert len(pairs) == len(found)  # each once
    assert found == brute_force(queries, hashes, distance)
    assert len(found) >= 400 * (distance + 1) // 15


def test_the_hash_search_finds_queries_that_were_changed_by_a_mask():
    masks = np.array([version.changed_signs() for version in TRANSFORMS[:4]], np.uint64)
    hashes = np.random.default_rng(3).integers(0, 2**64, 200, dtype=np.uint64)
    queries = hashes ^ masks[np.arange(200) % len(masks)] ^ np.uint64(0b1011)
    pairs = [
        pair
        for rows, others in find_hamming_neighbours(queries, hashes, 3, masks)
        for pair in zip(rows.tolist(), others.tolist(), strict=True)
    ]
    assert sorted(pairs) == [(number, number) for number in range(200)]


def test_the_hash_search_looks_at_few_of_all_pairs():
    """Below quadratic: twice as many hashes, about twice as many candidates to compare."""
    hashes = np.random.default_rng(1).integers(0, 2**64, 20_000, dtype=np.uint64)
    pairs = sum(len(rows) for rows, _ in find_hamming_neighbours(hashes, hashes, DISTANCE))
    assert pairs < 20_000 * 2  # itself, and hardly anything else
    with pytest.raises(ValueError, match="from 0 to 11"):
        list(find_hamming_neighbours(hashes, hashes, MAX_DISTANCE + 1))


def test_clusters_are_numbered_by_their_first_member():
    clusters = UnionFind(6)
    clusters.union(np.array([5, 1]), np.array([3, 5]))
    assert clusters.labels().tolist() == [0, 1, 2, 1, 4, 1]
    assert clusters.are_separate(np.array([1, 0]), np.array([3, 4])).tolist() == [False, True]
    clusters.union(np.array([0]), np.array([3]))
    assert clusters.labels().tolist() == [0, 0, 2, 0, 4, 0]
