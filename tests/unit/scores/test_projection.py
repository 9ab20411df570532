"""The map shows what differs most, the same way every time."""

from __future__ import annotations

import numpy as np
import pytest

from carbrand.scores import projection
from carbrand.scores.files.map_file import MappedPhoto, read_map, write_map
from carbrand.scores.projection import project
from carbrand.vectors import standardizer
from carbrand.vectors.array_file import open_rows, write_rows


def blobs(seed: int, n: int = 40, d: int = 60) -> np.ndarray:
    """Two groups, far apart in one direction, somewhat spread in another."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, 0.1, (n, d))
    vectors[:, 7] += np.where(np.arange(n) % 2, 5.0, -5.0)
    vectors[:, 3] += rng.normal(0, 1.0, n)
    return vectors.astype(np.float32)


def test_the_first_direction_is_that_of_the_largest_spread():
    here, there = project(blobs(0), blobs(1))
    assert np.isclose(here[:, 0].std(), 1.0)
    for places in (here, there):
        right = places[:, 0] > 0
        assert right.tolist() == [n % 2 == 1 for n in range(40)]
    assert abs(np.corrcoef(here[:, 1], blobs(0)[:, 3])[0, 1]) > 0.99


def test_it_repeats_to_the_bit_and_agrees_with_a_full_decomposition():
    vectors = blobs(2)
    once, again = project(vectors, vectors)[0], project(vectors, vectors)[0]
    assert once.tobytes() == again.tobytes()
    centred = vectors - vectors.mean(axis=0)
    full = centred @ np.linalg.svd(centred.astype(np.float64), full_matrices=False)[2][:2].T
    full /= full[:, 0].std()
    assert np.allclose(np.abs(once), np.abs(full), atol=1e-4)


def test_few_or_equal_photos_have_a_map_too():
    for n in (1, 2, 3, 5):
        same = np.ones((n, 9), np.float32)
        here, there = project(same, np.zeros((2, 9), np.float32))
        assert np.isfinite(here).all()
        assert np.isfinite(there).all()


@pytest.mark.parametrize("photos", [4, 8, 600])
def test_photos_of_two_kinds_only_have_a_map(photos):
    """Their vectors leave no second direction, and ones as a start would be at right angles."""
    vectors = np.eye(2, 700, dtype=np.float32)[np.arange(photos) % 2]
    here, _ = project(vectors, vectors)
    assert np.isfinite(here).all()
    assert len(set(np.sign(here[::2, 0]))) == 1
    assert np.sign(here[0, 0]) == -np.sign(here[1, 0])


def test_photos_are_placed_before_they_are_laid_out():
    vectors, others = blobs(3), blobs(4)

    def place(some: np.ndarray) -> np.ndarray:
        return (some - 2.0) * np.linspace(1, 3, some.shape[1])

    there = project(vectors, others, place)
    for laid, expected in zip(there, project(place(vectors), place(others)), strict=True):
        assert np.allclose(laid, expected, atol=1e-5)


def test_vectors_in_a_file_read_in_portions_have_the_same_map(tmp_path, monkeypatch):
    vectors = blobs(5)
    write_rows([tmp_path / "v.npy"], ((row,) for row in vectors), len(vectors))
    whole = project(vectors, vectors[:7])
    mapped = open_rows(tmp_path / "v.npy")
    for laid, expected in zip(project(mapped, mapped[:7]), whole, strict=True):
        assert laid.tobytes() == expected.tobytes()
    monkeypatch.setattr(standardizer, "_PORTION", 200)
    for laid, expected in zip(project(mapped, mapped[:7]), whole, strict=True):
        assert np.allclose(laid, expected, atol=1e-5)


def test_more_photos_than_enough_are_all_on_the_map_and_turn_it_hardly(monkeypatch):
    vectors = blobs(6, n=401)
    whole, _ = project(vectors, vectors[:3])
    monkeypatch.setattr(projection, "_MAX_FITTED", 100)
    laid, _ = project(vectors, vectors[:3])
    assert laid.shape == (401, 2)
    assert laid[:, 0].std() == pytest.approx(1.0)
    assert np.corrcoef(laid[:, 0], whole[:, 0])[0, 1] > 0.999
    assert abs(np.corrcoef(laid[:, 1], whole[:, 1])[0, 1]) > 0.95


def test_no_others_leave_the_map_of_the_training_photos():
    vectors = blobs(7)
    here, there = project(vectors, vectors[:0])
    assert np.array_equal(here, project(vectors, vectors[:1])[0])
    assert there.shape == (0, 2)


def test_a_map_comes_back_from_its_file(tmp_path):
    photos = [
        MappedPhoto("a,\n.jpg", "test", "ü", -1.5, 0.25),
        MappedPhoto("b", "train", "a", 0, 1),
    ]
    write_map(tmp_path / "map.csv", photos)
    assert read_map(tmp_path / "map.csv") == photos
