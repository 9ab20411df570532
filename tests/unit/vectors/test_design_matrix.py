"""Rows say all that their vectors say, be they few in few columns or many as they are."""

from __future__ import annotations

import numpy as np
import pytest

from carbrand.vectors.array_file import open_rows, write_rows
from carbrand.vectors.design_matrix import DesignMatrix
from carbrand.vectors.standardizer import Standardizer


def draw(photos: int, views: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(1, 2, (photos, views, width)).astype(np.float32)


def make_rows(vectors: np.ndarray) -> tuple[DesignMatrix, np.ndarray]:
    """The rows, and the placed vectors (n * views, d) float64 that they stand for."""
    width = vectors.shape[2]
    space = Standardizer.fit(vectors, [width])
    return DesignMatrix.build(vectors, space), space.transform(vectors).reshape(-1, width).astype(
        np.float64
    )


@pytest.mark.parametrize("shape", [(10, 2, 50), (25, 2, 50), (26, 2, 50)])  # few, as many, many
def test_a_kernel_says_the_same_of_rows_as_of_the_vectors(shape):
    rows, placed = make_rows(draw(*shape))
    kernel = np.random.default_rng(1).normal(0, 1, (rows.columns, 3))
    assert len(rows) == len(placed)
    said = rows.take(slice(None)) @ kernel
    assert np.allclose(said, placed @ rows.expand_kernel(kernel), atol=1e-5)
    # And its penalty is the same: the basis is one of right angles.
    squares = (rows.expand_kernel(kernel) ** 2).sum()
    assert squares == pytest.approx((kernel**2).sum(), rel=1e-5)


def test_few_rows_have_no_more_columns_than_there_are_rows_and_lose_nothing():
    rows, placed = make_rows(draw(10, 2, 50))
    assert rows.columns <= 20
    taken = rows.take(slice(None))
    assert taken.dtype == np.float64
    assert np.allclose(taken @ taken.T, placed @ placed.T, atol=1e-6)


def test_many_rows_are_the_placed_vectors_to_the_bit():
    vectors = draw(40, 2, 50)
    rows, placed = make_rows(vectors)
    assert rows.columns == 50
    taken = rows.take(slice(None))
    assert taken.dtype == np.float32
    assert np.array_equal(taken, placed)


@pytest.mark.parametrize("photos", [10, 40])
def test_rows_are_taken_by_slice_or_by_number_alike(photos):
    rows, _ = make_rows(draw(photos, 2, 50))
    assert np.array_equal(rows.take(slice(3, 7)), rows.take(np.arange(3, 7)))
    assert np.array_equal(rows.take(np.array([5, 2])), rows.take(slice(None))[[5, 2]])


def test_rows_that_repeat_one_another_add_no_column():
    rows, _ = make_rows(np.tile(draw(4, 1, 50), (5, 1, 1)))
    assert rows.columns == 3  # four points about their middle


def test_rows_all_alike_have_no_column_and_a_kernel_of_zeros():
    rows, _ = make_rows(np.ones((6, 2, 50), np.float32))
    assert rows.columns == 0
    assert rows.take(slice(None)).shape == (12, 0)
    assert np.array_equal(rows.expand_kernel(np.zeros((0, 3))), np.zeros((50, 3)))


@pytest.mark.parametrize("weakest", [0.1, 0.01, 0.001])
def test_a_direction_is_not_lost_beside_a_much_stronger_one(weakest):
    """Brands may differ in it, and light in the other."""
    lengths = np.append(np.geomspace(1, weakest, 40), np.zeros(500))
    vectors = np.random.default_rng(0).normal(0, 1, (400, 1, 540)) * lengths
    rows, placed = make_rows(vectors.astype(np.float32))
    assert rows.columns == 40
    taken = rows.take(slice(None))
    along = placed[:, 39]
    fitted = taken @ np.linalg.lstsq(taken, along, rcond=None)[0]
    assert np.allclose(fitted, along, atol=1e-3 * np.abs(along).max())


@pytest.mark.parametrize("photos", [10, 40])
def test_rows_of_a_file_are_those_of_memory_to_the_bit(tmp_path, photos):
    vectors = draw(photos, 2, 50)
    write_rows([tmp_path / "v.npy"], ((row,) for row in vectors), photos)
    here, there = (
        make_rows(v)[0].take(slice(None)) for v in (vectors, open_rows(tmp_path / "v.npy"))
    )
    assert np.asarray(here).tobytes() == np.asarray(there).tobytes()
