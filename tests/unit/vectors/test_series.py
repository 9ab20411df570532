"""Series: what is one scene, and what is not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from carbrand.photos.manifest import Row
from carbrand.vectors.series import find_series, find_series_of_tests
from carbrand.vectors.standardizer import Standardizer

WIDTH = 64


def rows_of(*names: str, brand: str = "audi", split: str = "train") -> list[Row]:
    return [Row(f"Datasets/{split}/{brand}/{name}.jpg", split, brand) for name in names]


def scenes(count: int, photos: int, closeness: float, seed: int = 0) -> np.ndarray:
    """(count * photos, WIDTH): photos of one scene have a mean cosine of about `closeness`."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(count, WIDTH)), photos, axis=0)
    noise = rng.normal(size=(count * photos, WIDTH))
    return (closeness**0.5 * centres + (1 - closeness) ** 0.5 * noise).astype(np.float32)


def as_they_are() -> Standardizer:
    return Standardizer(np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32))


def series_of(rows: list[Row], vectors: np.ndarray, similarity: float = 0.5) -> list[str]:
    names = find_series(rows, vectors, as_they_are(), [row.path for row in rows], similarity)
    return [name.removeprefix("Datasets/train/").removesuffix(".jpg") for name in names]


def unlike(count: int) -> np.ndarray:
    """Vectors that are all at right angles."""
    return np.eye(count, WIDTH, dtype=np.float32)


def test_photos_that_are_near_are_a_series_and_others_are_not():
    rows = rows_of(*"abcdefghijkl")
    assert series_of(rows, scenes(3, 4, 0.8)) == [f"audi/{name}" for name in "aaaaeeeeiiii"]
    assert series_of(rows, scenes(3, 4, 0.2)) == [f"audi/{name}" for name in "abcdefghijkl"]


def test_a_similarity_of_one_switches_vectors_off():
    rows = rows_of(*"abcdef")
    assert len(set(series_of(rows, scenes(3, 2, 0.99), similarity=1.0))) == 6


def test_one_link_between_two_scenes_does_not_join_them():
    """Single linkage would: one photo lies between them."""
    first, second = np.zeros((2, WIDTH), np.float32)
    first[0] = second[1] = 1
    vectors = np.stack([*[first] * 4, *[second] * 4, first + second])
    names = series_of(rows_of(*"abcdefghi"), vectors, similarity=0.6)
    assert len(set(names[:4])) == len(set(names[4:8])) == 1
    assert names[0] != names[4]


def test_a_series_has_one_brand():
    rows = [*rows_of("a", "b"), *rows_of("a", "b", brand="bmw")]
    vectors = np.concatenate([scenes(1, 1, 0.9)] * 4) + 0.01 * unlike(4)
    vectors[1], vectors[3] = unlike(9)[8], unlike(10)[9]  # a second series for each brand
    assert len(set(series_of(rows, vectors))) == 4


def test_a_brand_of_one_series_is_divided_by_copies():
    """Nothing could be held out of it otherwise."""
    rows = rows_of(*"abcd")
    copies = ["a", "a", "c", "d"]
    names = find_series(rows, scenes(1, 4, 0.9), as_they_are(), copies, 0.5)
    assert names == copies


def test_copies_stay_together_however_their_vectors_differ():
    rows = rows_of(*"abcd")
    names = find_series(rows, unlike(4), as_they_are(), ["x", "b", "x", "d"], 0.5)
    assert names[0] == names[2]
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    ("seconds", "camera", "together"),
    [(59, "Canon 5D", True), (61, "Canon 5D", False), (5, "Nikon D3", False), (5, "", False)],
)
def test_one_camera_within_a_minute_is_a_series(seconds, camera, together):
    first, second, other = rows_of(*"abc")
    first = replace(first, taken="2024-05-01T10:00:00", camera="Canon 5D")
    taken = f"2024-05-01T10:{seconds // 60:02}:{seconds % 60:02}"
    second = replace(second, taken=taken, camera=camera)
    names = series_of([first, second, other], unlike(3))
    assert (names[0] == names[1]) is together
    assert names[2] != names[0]


def test_what_the_user_named_is_not_guessed_again():
    rows = [replace(row, series=name) for row, name in zip(rows_of(*"abcd"), "xxyy", strict=True)]
    near = scenes(1, 4, 0.95)  # one scene by the vectors
    assert series_of(rows, near) == ["audi/a", "audi/a", "audi/c", "audi/c"]


def test_consecutive_numbers_join_only_where_order_means_something():
    """Frames of a video change slowly; shuffled numbers say nothing."""
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(10):  # ten videos of ten frames, each of which drifts
        walk = [rng.normal(size=WIDTH)]
        for _ in range(9):
            walk.append(0.45 * walk[-1] + 0.89 * rng.normal(size=WIDTH))
        frames += walk
    vectors = np.array(frames, np.float32)
    in_order = rows_of(*(f"v{n // 10}_{n:04}" for n in range(100)))
    shuffled = [in_order[n] for n in rng.permutation(100)]
    joined, apart = (len(set(series_of(rows, vectors))) for rows in (in_order, shuffled))
    assert joined < apart - 20


def test_a_test_photo_belongs_to_the_series_that_it_is_near():
    rows = rows_of(*"abcdef")
    vectors = scenes(3, 3, 0.8)
    training, held = np.concatenate([vectors[:2], vectors[3:5], vectors[6:8]]), vectors[[2, 8]]
    series = ["a", "a", "c", "c", "e", "e"]
    tests = rows_of("x", "y", "z", split="test", brand="unknown to this search")
    tested = np.concatenate([held, unlike(9)[8:9]])
    sets = (tests, tested, rows, training, as_they_are(), series)
    assert find_series_of_tests(*sets, 0.5) == ["a", "e", ""]
    assert find_series_of_tests(*sets, 1.0) == ["", "", ""]


def test_a_test_photo_of_the_same_burst_or_of_the_users_group_belongs_to_it():
    when = partial(replace, taken="2024-05-01T10:00:00", camera="Canon 5D")
    training = [when(rows_of("a")[0]), replace(rows_of("b")[0], series="garage")]
    tests = rows_of("x", "y", "z", split="test")
    tests = [when(tests[0]), replace(tests[1], series="garage"), tests[2]]
    vectors = unlike(5)
    sets = (tests, vectors[:3], training, vectors[3:], as_they_are(), ["A", "B"])
    assert find_series_of_tests(*sets, 0.5) == ["A", "B", ""]


def test_many_photos_of_a_brand_are_linked_in_parts(monkeypatch):
    monkeypatch.setattr("carbrand.vectors.series._PART", 12)
    rows = rows_of(*(f"{number:02}" for number in range(24)))
    vectors = scenes(3, 8, 0.9)
    mixed = np.concatenate([vectors[start::8] for start in range(8)])  # every part has all scenes
    names = series_of(rows, mixed)
    assert names == [f"audi/{number % 3:02}" for number in range(24)]
