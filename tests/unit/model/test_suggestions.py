"""Suggestions: unsure, unlike one another, and no copies."""

from __future__ import annotations

import numpy as np

from carbrand.model.suggestions import Pool, choose, find_copies, suggest

BRANDS = ["asta", "bolt"]


def pool(vectors: np.ndarray, first: list[float], unknown: list[int] | None = None) -> Pool:
    """Photos with these probabilities of the first brand."""
    rows = range(len(vectors))
    return Pool(
        paths=[f"{row}.png" for row in rows],
        hashes=[0x0123456789ABCDEF ^ (0xFFF << 4 * row) for row in rows],
        probabilities=np.column_stack([first, 1 - np.array(first)]),
        vectors=vectors.astype(np.float32),
        unknown=np.array([row in (unknown or []) for row in rows]),
    )


def test_the_unsure_are_chosen_before_the_sure():
    vectors = np.eye(8)
    probabilities = np.column_stack([[0.99] * 5 + [0.5] * 3, [0.01] * 5 + [0.5] * 3])
    assert set(choose(probabilities, vectors[:, :], np.ones((1, 8)), 3)) == {5, 6, 7}


def test_of_a_heap_of_near_photos_one_is_chosen_before_those_elsewhere():
    heap = np.tile([1.0, 0, 0, 0], (6, 1)) + 0.01 * np.random.default_rng(0).normal(size=(6, 4))
    vectors = np.vstack([heap, np.eye(4)[1:3]])
    probabilities = np.full((8, 2), 0.5)
    chosen = choose(probabilities, vectors, np.eye(4)[3:], 3)
    assert len({min(row, 5) if row < 6 else row for row in chosen}) == 3
    assert sum(row < 6 for row in chosen) == 1


def test_what_is_like_a_training_photo_comes_last():
    vectors = np.eye(4)
    chosen = choose(np.full((4, 2), 0.5), vectors, vectors[2:3], 4)
    assert chosen[-1] == 2
    assert sorted(chosen) == [0, 1, 2, 3]


def test_copies_of_known_photos_and_of_one_another_are_found():
    a, b, c = 0x0F0F0F0F0F0F0F0F, 0x123456789ABCDEF0, 0xFFFFFFFF00000000
    assert find_copies([a ^ 0b111, b, b ^ 1, c], [a]) == {0, 2}
    assert find_copies([a, b], []) == set()


def test_unknown_photos_stand_apart():
    photos = pool(np.eye(6), [0.5, 0.6, 0.55, 0.9, 0.5, 0.7], unknown=[0, 4])
    found = suggest(photos, BRANDS, np.ones((1, 6)), 3)
    assert [it.why for it in found] == ["unsure"] * 3 + ["unknown"] * 2
    assert {it.path for it in found[3:]} == {"0.png", "4.png"}
    assert all(it.confidence >= it.second_confidence for it in found)
    assert all({it.predicted, it.second} == set(BRANDS) for it in found)


def test_more_than_there_are_are_all_and_none_is_none():
    assert len(suggest(pool(np.eye(3), [0.5, 0.6, 0.7]), BRANDS, np.ones((1, 3)), 9)) == 3
    assert suggest(pool(np.eye(3)[:0], []), BRANDS, np.ones((1, 3)), 9) == []
    assert len(suggest(pool(np.eye(3)[:1], [0.5]), BRANDS, np.ones((1, 3)), 9)) == 1
