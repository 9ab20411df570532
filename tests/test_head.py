"""The head learns, honestly: what is held out is held out, and what ships has seen everything."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from carbrand.head import HeadParams, assign_folds, balance, softmax, train_head

PARAMS = HeadParams(
    epochs=20, patience=20, batch_size=16, learning_rate=0.1, l2=0.001, label_smoothing=0.0, seed=0
)


def clouds(photos: int = 30, views: int = 2, width: int = 6, spread: float = 0.3):
    """Vectors of three brands around three corners, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(photos) % 3
    centres = np.eye(3, width)[labels][:, None, :]
    vectors = centres + rng.normal(0, spread, (photos, views, width))
    return vectors.astype(np.float32), labels


def alone(labels) -> list[str]:
    """A group of its own for every photo."""
    return [f"{number:04}" for number in range(len(labels))]


def learn(vectors, labels, folds: int = 5, blocks: int = 1, **changes):
    params = dataclasses.replace(PARAMS, **changes)
    assigned = assign_folds(labels, alone(labels), folds, params.seed)
    return train_head(vectors, labels, assigned, balance(labels, 3), 3, blocks, params)


def test_folds_hold_every_photo_once_and_every_brand_evenly():
    labels = np.repeat([0, 1, 2], [20, 10, 7])
    folds = assign_folds(labels, alone(labels), 5, seed=1)
    assert sorted(np.bincount(folds)) == [7, 7, 7, 8, 8]
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_folds_follow_the_seed():
    labels = np.repeat([0, 1], 20)
    first, again, other = (assign_folds(labels, alone(labels), 4, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_copies_of_a_photo_share_a_fold():
    labels = np.arange(40) % 2
    groups = [f"{number % 10}" for number in range(40)]
    folds = assign_folds(labels, groups, 5, seed=0)
    assert all(
        len({f for f, g in zip(folds, groups, strict=True) if g == group}) == 1 for group in groups
    )
    assert set(folds) == set(range(5))


def test_there_are_no_more_folds_than_photos():
    assert sorted(assign_folds(np.array([0, 0, 1, 1]), ["a", "b", "c", "d"], 9, 0)) == [0, 1, 2, 3]


def test_balanced_weights_give_each_brand_the_same_say():
    labels = np.repeat([0, 1, 2], [20, 10, 2])
    weights = balance(labels, 3)
    assert weights.mean() == pytest.approx(1.0)
    sums = [weights[labels == label].sum() for label in range(3)]
    assert sums == pytest.approx([sums[0]] * 3)


def test_what_can_be_learned_is_learned():
    vectors, labels = clouds()
    head = learn(vectors, labels)
    predicted = (vectors[:, 0] @ head.kernel + head.bias).argmax(axis=1)
    assert (predicted == labels).all()
    assert (head.held_out.argmax(axis=1) == labels).mean() > 0.9


def test_held_out_accuracy_of_random_labels_is_chance():
    """A validation photo that leaked into its fold's training would be learned by heart."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(0, 1, (60, 1, 200)).astype(np.float32)
    labels = rng.permutation(60) % 3
    head = learn(vectors, labels, l2=0.0)
    last = head.history[-1]
    assert last.accuracy > 0.95
    assert last.val_accuracy < 0.6


def test_the_head_that_ships_has_seen_every_photo():
    rng = np.random.default_rng(2)
    vectors = rng.normal(0, 1, (30, 1, 200)).astype(np.float32)
    labels = np.arange(30) % 3
    head = learn(vectors, labels, l2=0.0, epochs=5)
    predicted = (vectors[:, 0] @ head.kernel + head.bias).argmax(axis=1)
    assert (predicted == labels).mean() > 0.95


def test_history_and_best_epoch_fit_each_other():
    head = learn(*clouds(spread=0.8), epochs=30, patience=3)
    assert [epoch.epoch for epoch in head.history] == list(range(1, len(head.history) + 1))
    losses = [epoch.val_loss for epoch in head.history]
    assert head.best_epoch == int(np.argmin(losses)) + 1
    assert len(head.history) <= head.best_epoch + 3
    labels = clouds()[1]
    of_actual = head.held_out[np.arange(len(labels)), labels]
    assert -np.log(of_actual).mean() == pytest.approx(min(losses), rel=1e-5)


def test_what_is_held_out_is_one_fold_at_a_time():
    head = learn(*clouds())
    assert sorted(set(head.folds)) == [0, 1, 2, 3, 4]
    assert np.array_equal(head.held_out, softmax(head.held_out_logits))


def test_training_stops_early():
    assert len(learn(*clouds(spread=2.0), epochs=200, patience=2, l2=0.0).history) < 100


def test_training_repeats_to_the_bit():
    first, second = learn(*clouds()), learn(*clouds())
    assert np.array_equal(first.kernel, second.kernel)
    assert first.history == second.history


def test_another_seed_trains_differently():
    assert not np.array_equal(learn(*clouds()).kernel, learn(*clouds(), seed=1).kernel)


def test_a_rare_brand_is_not_forgotten():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], [60, 60, 3])
    vectors = (np.eye(3, 4)[labels] + rng.normal(0, 0.6, (123, 4)))[:, None].astype(np.float32)
    params = dataclasses.replace(PARAMS, epochs=10)
    folds = assign_folds(labels, alone(labels), 3, 0)
    recalls = []
    for weights in (balance(labels, 3), np.ones(123, np.float32)):
        head = train_head(vectors, labels, folds, weights, 3, 1, params)
        predicted = (vectors[:, 0] @ head.kernel + head.bias).argmax(axis=1)
        recalls.append((predicted[labels == 2] == 2).mean())
    assert recalls[0] > recalls[1]


def test_the_scale_of_a_block_does_not_matter():
    vectors, labels = clouds(width=8)
    scaled = vectors * np.repeat([1.0, 100.0], 4).astype(np.float32)
    plain, other = learn(vectors, labels, blocks=2), learn(scaled, labels, blocks=2)
    assert np.allclose(plain.held_out, other.held_out, atol=1e-3)


def test_a_stronger_penalty_makes_smaller_weights():
    vectors, labels = clouds()
    weak, strong = learn(vectors, labels), learn(vectors, labels, l2=1.0)
    assert np.abs(strong.kernel).sum() < 0.5 * np.abs(weak.kernel).sum()


def test_the_penalty_is_one_for_all_photos_together():
    """As a prior on the weights: with every photo twice it weighs half as much against them."""
    vectors, labels = clouds()
    once = learn(vectors, labels, l2=0.1, epochs=200, patience=200, batch_size=1000)
    twice = learn(np.tile(vectors, (2, 1, 1)), np.tile(labels, 2), l2=0.2, epochs=200,
                  patience=200, batch_size=1000)  # fmt: skip
    assert np.abs(once.kernel).sum() == pytest.approx(np.abs(twice.kernel).sum(), rel=0.02)


def test_label_smoothing_makes_less_sure():
    vectors, labels = clouds()
    sure, smooth = learn(vectors, labels), learn(vectors, labels, label_smoothing=0.3)
    assert smooth.held_out.max(axis=1).mean() < sure.held_out.max(axis=1).mean()


def test_softmax_of_huge_logits_is_finite():
    assert softmax(np.array([[1e4, 0.0, -1e4]])).tolist() == [[1.0, 0.0, 0.0]]
