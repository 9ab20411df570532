"""Photos that look like none of the brands are told from those that do."""

from __future__ import annotations

import numpy as np
import pytest

from carbrand.scores.unknown import (
    BrandSpace,
    UnknownRule,
    calibrate_unknown,
    conformal_quantile,
    hold_out_distances,
)
from carbrand.training.problem import softmax

WIDTH, BRANDS, EACH = 120, 4, 60
CENTRES = np.random.default_rng(0).normal(0, 3, (BRANDS, 8))
# Photos vary along few directions, and a little along all.
DIRECTIONS = np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, 8)))[0].T


def draw(seed: int, centres: np.ndarray = CENTRES) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, WIDTH) and labels of EACH photos around each centre."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(centres)), EACH)
    places = centres[labels] + rng.normal(0, 0.7, (len(labels), 8))
    noise = rng.normal(0, 0.05, (len(labels), WIDTH))
    return (places @ DIRECTIONS + noise + 2).astype(np.float32), labels


def predict(vectors: np.ndarray) -> np.ndarray:
    places = (vectors - 2) @ DIRECTIONS.T
    return softmax(-((places[:, None] - CENTRES) ** 2).sum(axis=2))


def make_rule(share: float) -> UnknownRule:
    vectors, labels = draw(2)
    folds = np.arange(len(labels)) % 5
    distances = hold_out_distances(vectors, labels, folds, [WIDTH])
    space = BrandSpace.fit(vectors, labels, [WIDTH])
    rule = calibrate_unknown(space, distances, predict(vectors), share)
    assert rule is not None
    return rule


def share_called(rule: UnknownRule, vectors: np.ndarray) -> float:
    return float((rule.score(vectors, predict(vectors)) > 1).mean())


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
def test_of_known_photos_the_share_that_was_asked_for_is_called_unknown(share):
    rule = make_rule(share)
    called = np.mean([share_called(rule, draw(seed)[0]) for seed in range(10, 20)])
    assert share / 3 < called < share + 0.06


@pytest.mark.parametrize("kind", ["noise", "flat", "between", "elsewhere"])
def test_what_is_unlike_the_training_photos_is_unknown(kind):
    rng = np.random.default_rng(3)
    vectors = {
        "noise": rng.normal(2, 1, (50, WIDTH)),
        "flat": np.full((50, WIDTH), 9.0),
        # The head is sure of both kinds, the distance is not.
        "between": draw(4, 4 * CENTRES)[0],
        "elsewhere": draw(5, CENTRES[:1] + rng.normal(0, 8, 8))[0],
    }[kind]
    assert share_called(make_rule(0.05), vectors.astype(np.float32)) > 0.9


def test_a_doubtful_photo_scores_higher_at_the_same_place():
    vectors, _ = draw(6)
    rule = make_rule(0.05)
    sure, torn = np.eye(BRANDS)[[0]], np.full((1, BRANDS), 1 / BRANDS)
    assert rule.score(vectors[:1], torn) > rule.score(vectors[:1], sure) + 0.1


def test_distances_of_held_out_photos_are_in_a_space_without_them():
    vectors, labels = draw(7)
    vectors[0] += 5
    folds = np.zeros(len(labels), int)
    folds[0] = 1
    held_out = hold_out_distances(vectors, labels, folds, [WIDTH])[0]
    seen = BrandSpace.fit(vectors, labels, [WIDTH]).distances(vectors[:1])[0]
    assert held_out.sum() > 1.5 * seen.sum()


def test_a_share_of_0_switches_it_off():
    vectors, labels = draw(2)
    space = BrandSpace.fit(vectors, labels, [WIDTH])
    assert calibrate_unknown(space, space.distances(vectors), predict(vectors), 0.0) is None


def test_photos_that_are_all_the_same_give_finite_scores():
    vectors, labels = np.ones((6, 5), np.float32), np.arange(6) % 2
    space = BrandSpace.fit(vectors, labels, [2, 3])
    rule = calibrate_unknown(space, space.distances(vectors), np.full((6, 2), 0.5), 0.05)
    assert rule is not None
    assert np.isfinite(rule.score(vectors + 1, np.full((6, 2), 0.5))).all()


@pytest.mark.parametrize(("n", "level", "expected"), [(9, 0.9, 9), (19, 0.9, 18), (5, 0.9, 5)])
def test_the_quantile_counts_the_next_photo_too(n, level, expected):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert conformal_quantile(scores, level) == expected
