"""Vectors are placed by their own middle and spread, in however many portions they are read."""

from __future__ import annotations

import numpy as np
import pytest

from carbrand.vectors import standardizer
from carbrand.vectors.array_file import open_rows, write_rows
from carbrand.vectors.standardizer import Standardizer, portions

WIDTHS = [3, 4, 1]


def draw(photos: int = 50, views: int = 2) -> np.ndarray:
    """Three kinds of features of very different length and place."""
    sizes = np.repeat([1.0, 100.0, 0.01], WIDTHS)
    rng = np.random.default_rng(0)
    return (rng.normal(3, 1, (photos, views, sum(WIDTHS))) * sizes).astype(np.float32)


@pytest.mark.parametrize("values", [1, 100, 10**6])
def test_portions_are_whole_rows_in_order_and_no_larger_than_asked_for(monkeypatch, values):
    monkeypatch.setattr(standardizer, "_PORTION", values)
    vectors = draw()
    parts = list(portions(vectors))
    assert np.array_equal(np.concatenate(parts), vectors)
    assert max(part.size for part in parts) <= max(values, vectors[0].size)
    assert len(parts) == -(-len(vectors) // max(1, values // vectors[0].size))


@pytest.mark.parametrize("values", [1, 100, 10**6])
def test_middle_and_spread_are_those_of_all_rows_whatever_the_portion(monkeypatch, values):
    monkeypatch.setattr(standardizer, "_PORTION", values)
    vectors = draw()
    rows = vectors.reshape(-1, 8).astype(np.float64)
    found = Standardizer.fit(vectors, WIDTHS)
    assert found.mean.dtype == found.scale.dtype == np.float32
    assert np.allclose(found.mean, rows.mean(axis=0), rtol=1e-6)
    kinds = np.split(rows - rows.mean(axis=0), np.cumsum(WIDTHS)[:-1], axis=1)
    lengths = [np.sqrt(3 * (kind**2).sum(axis=1).mean()) for kind in kinds]
    assert np.allclose(found.scale, np.repeat(lengths, WIDTHS), rtol=1e-6)


def test_placed_vectors_are_centred_of_length_1_and_every_kind_has_the_same_say():
    vectors = draw()
    placed = Standardizer.fit(vectors, WIDTHS).transform(vectors).reshape(-1, 8).astype(np.float64)
    assert np.allclose(placed.mean(axis=0), 0, atol=1e-5)
    squares = (placed**2).mean(axis=0)
    assert squares.sum() == pytest.approx(1.0, rel=1e-4)
    starts = np.cumsum([0, *WIDTHS[:-1]])
    assert np.add.reduceat(squares, starts) == pytest.approx([1 / 3] * 3, rel=1e-4)


def test_a_small_spread_far_from_0_is_not_lost():
    noise = np.random.default_rng(0).integers(-4, 5, (400, 1, 1)).astype(np.float32)
    found = Standardizer.fit(noise + 1e6, [1])
    assert found.scale[0] == pytest.approx(noise.std(), rel=1e-5)


def test_a_kind_that_never_varies_is_placed_at_0():
    vectors = draw()
    vectors[..., 3:7] = 7.0
    placed = Standardizer.fit(vectors, WIDTHS).transform(vectors)
    assert np.isfinite(placed).all()
    assert not placed[..., 3:7].any()


def test_directions_have_length_1_and_the_middle_has_none():
    vectors = draw()[:, 0]
    found = Standardizer.fit(vectors[:, None], WIDTHS)
    directions = found.unit_vectors(np.concatenate([vectors, found.mean[None]]))
    lengths = np.sqrt((directions**2).sum(axis=1))
    assert lengths[:-1] == pytest.approx(1.0, rel=1e-5)
    assert lengths[-1] == 0
    assert directions.dtype == np.float32


def test_vectors_in_a_file_have_the_same_space_to_the_bit(tmp_path):
    vectors = draw()
    write_rows([tmp_path / "v.npy"], ((row,) for row in vectors), len(vectors))
    here, there = (
        Standardizer.fit(vectors, WIDTHS),
        Standardizer.fit(open_rows(tmp_path / "v.npy"), WIDTHS),
    )
    assert here.mean.tobytes() == there.mean.tobytes()
    assert here.scale.tobytes() == there.scale.tobytes()
