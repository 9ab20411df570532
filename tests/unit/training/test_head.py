"""Training the head: held-out photos are held out, and the final head is trained on all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from carbrand.node.errors import UserError
from carbrand.node.params import read_section
from carbrand.scores.files.history import Epoch
from carbrand.training import lbfgs
from carbrand.training.head import (
    HeadParams,
    TrainedHead,
    assign_folds,
    balance,
    train_head,
)
from carbrand.training.problem import Problem, Weights, evaluate_epoch, softmax, softmax_loss
from carbrand.vectors import standardizer
from carbrand.vectors.array_file import open_rows, write_rows
from carbrand.vectors.feature_store import Features, Recipe
from carbrand.vectors.standardizer import Standardizer
from stages.train import TrainParams, summarize, train
from tests.conftest import ROOT

PARAMS = HeadParams(epochs=20, l2=0.001, label_smoothing=0.0)
# So many that L-BFGS converges.
TO_CONVERGENCE = 5000


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


def learn(vectors, labels, widths=None, **changes):
    params = dataclasses.replace(PARAMS, **changes)
    assigned = assign_folds(labels, alone(labels), 5, 0)
    widths = widths or [vectors.shape[2]]
    return train_head(vectors, labels, assigned, balance(labels, 3), 3, widths, params)


def predict(head, vectors) -> np.ndarray:
    """Probabilities (n, 3) of the photos as they are, by the final head."""
    return softmax(vectors[:, 0].astype(np.float64) @ head.kernel + head.bias)


def fit_by_sklearn(vectors, labels, in_training, l2, smoothing) -> np.ndarray:
    """Probabilities (n, 3) of the photos as they are, by scikit-learn from the plain formula.

    Its loss is C times the sum over rows, plus half of the squared kernel: ours, whose sum over the
    rows is divided by photos * views and whose squares are multiplied by l2 / photos, for
    C = 1 / (2 * l2 * views). A smoothed label is a row for each brand that weighs its share.
    """
    from sklearn.linear_model import LogisticRegression

    views, brands = vectors.shape[1], 3
    placed = Standardizer.fit(vectors, [vectors.shape[2]]).transform(vectors).astype(np.float64)
    targets = np.eye(brands)[labels] * (1 - smoothing) + smoothing / brands
    weights = (balance(labels, brands)[:, None] * targets)[in_training]
    rows = np.repeat(placed[in_training].reshape(-1, placed.shape[2]), brands, axis=0)
    of_rows = np.repeat(weights, views, axis=0).ravel()
    model = LogisticRegression(C=1 / (2 * l2 * views), tol=1e-9, max_iter=100_000)
    model.fit(rows, np.tile(np.arange(brands), len(rows) // brands), sample_weight=of_rows)
    return model.predict_proba(placed[:, 0])


def make_problem(vectors, labels, in_training, weights=None, **changes) -> Problem:
    """A training problem without normalization."""
    width = vectors.shape[2]
    problem = Problem(
        vectors=vectors,
        space=Standardizer(np.zeros(width, np.float32), np.ones(width, np.float32)),
        labels=labels,
        in_training=in_training,
        photo_weights=np.ones(len(labels)) if weights is None else weights,
        brands=3,
        epochs=1,
        l2=0.0,
        label_smoothing=0.0,
    )
    return dataclasses.replace(problem, **changes)


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


def test_there_are_at_most_as_many_folds_as_photos():
    assert sorted(assign_folds(np.array([0, 0, 1, 1]), ["a", "b", "c", "d"], 9, 0)) == [0, 1, 2, 3]


def test_balanced_weights_give_each_brand_the_same_total():
    labels = np.repeat([0, 1, 2], [20, 10, 2])
    weights = balance(labels, 3)
    assert weights.mean() == pytest.approx(1.0)
    sums = [weights[labels == label].sum() for label in range(3)]
    assert sums == pytest.approx([sums[0]] * 3)


def test_what_can_be_learned_is_learned():
    vectors, labels = clouds()
    head = learn(vectors, labels)
    assert (predict(head, vectors).argmax(axis=1) == labels).all()
    assert (head.held_out_logits.argmax(axis=1) == labels).mean() > 0.9


def test_held_out_accuracy_of_random_labels_is_chance():
    """A validation photo that leaked into its fold's training would be learned by heart."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(0, 1, (60, 1, 200)).astype(np.float32)
    labels = rng.permutation(60) % 3
    last = learn(vectors, labels, l2=0.0).history[-1]
    assert last.accuracy > 0.95
    assert last.val_accuracy < 0.6


def test_the_labels_of_a_fold_do_not_affect_its_head():
    vectors, labels = clouds(spread=1.0)
    folds = np.arange(30) % 5
    weights = np.ones(30, np.float32)
    params = dataclasses.replace(PARAMS, epochs=5, l2=0.01)
    changed = np.where(folds == 2, (labels + 1) % 3, labels)
    before, after = (
        softmax(train_head(vectors, these, folds, weights, 3, [6], params).held_out_logits)
        for these in (labels, changed)
    )
    moved = np.abs(after - before).max(axis=1)
    assert not moved[folds == 2].any()  # to the last bit: not even the steps are shared
    assert moved[folds != 2].mean() > 0.05


def test_the_final_head_is_trained_on_every_photo():
    rng = np.random.default_rng(2)
    vectors = rng.normal(0, 1, (30, 1, 200)).astype(np.float32)
    labels = np.arange(30) % 3
    head = learn(vectors, labels, l2=0.0, epochs=5)
    assert (predict(head, vectors).argmax(axis=1) == labels).mean() > 0.95


@pytest.mark.parametrize("shape", [(60, 2, 8), (15, 2, 80)])  # more rows than columns, and fewer
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_lbfgs_finds_the_minimum_of_the_plain_formula(shape, smoothing):
    photos, views, width = shape
    vectors, labels = clouds(photos, views, width, spread=0.7)
    labels = np.where(np.arange(photos) % 5 == 0, 0, labels)  # brands of several sizes
    head = learn(vectors, labels, l2=0.01, label_smoothing=smoothing, epochs=TO_CONVERGENCE)
    everything = np.ones(photos, bool)
    expected = fit_by_sklearn(vectors, labels, everything, 0.01, smoothing)
    assert np.abs(predict(head, vectors) - expected).max() < 1e-3
    held_out = softmax(head.held_out_logits)
    for fold in range(5):
        without = fit_by_sklearn(vectors, labels, head.folds != fold, 0.01, smoothing)
        inside = head.folds == fold
        assert np.abs(held_out[inside] - without[inside]).max() < 1e-3


def test_few_rows_and_many_rows_give_the_same_head():
    """Columns that are always 0 have no effect, but make the rows fewer than the columns."""
    vectors, labels = clouds(photos=40, views=1, spread=0.7)
    wide = np.concatenate([vectors, np.zeros((40, 1, 60), np.float32)], axis=2)
    narrow, condensed = (learn(v, labels, epochs=TO_CONVERGENCE) for v in (vectors, wide))
    assert np.allclose(condensed.kernel[:6], narrow.kernel, atol=2e-3 * np.abs(narrow.kernel).max())
    assert not condensed.kernel[6:].any()
    assert np.abs(predict(condensed, wide) - predict(narrow, vectors)).max() < 1e-3


def test_rounding_of_the_vectors_hardly_changes_probabilities():
    """As on another processor: of vectors whose directions have lengths from 1 to 0.001."""
    rng, width = np.random.default_rng(1), 400
    labels = np.arange(60) % 3
    photos = rng.normal(size=(60, 1, width)) + 0.5 * np.eye(3, width)[labels][:, None, :]
    views = photos + 0.3 * rng.normal(size=(60, 2, width))
    vectors = (views * np.geomspace(1, 1e-3, width)).astype(np.float32)
    rounded = (vectors * (1 + 3e-7 * rng.normal(size=vectors.shape))).astype(np.float32)
    one, other = (
        softmax(learn(v, labels, epochs=50, l2=0.0003, label_smoothing=0.1).held_out_logits)
        for v in (vectors, rounded)
    )
    assert 0 < np.abs(one - other).max() < 2e-5


@pytest.mark.parametrize("width", [6, 100])
def test_the_batch_size_changes_nothing_but_rounding(monkeypatch, width):
    vectors, labels = clouds(width=width, spread=0.7)
    whole = learn(vectors, labels, l2=0.01)
    monkeypatch.setattr(lbfgs, "_BATCH_ROWS", 7)
    parts = learn(vectors, labels, l2=0.01)
    assert np.allclose(parts.held_out_logits, whole.held_out_logits, atol=1e-6)
    assert np.allclose(parts.kernel, whole.kernel, atol=1e-6)
    assert len(parts.history) == len(whole.history)


@pytest.mark.parametrize("width", [6, 100])
def test_vectors_in_a_file_give_the_same_bits_as_in_memory(tmp_path, width):
    vectors, labels = clouds(width=width)
    write_rows([tmp_path / "v.npy"], ((row,) for row in vectors), len(vectors))
    mapped = open_rows(tmp_path / "v.npy")
    assert isinstance(mapped, np.memmap)
    here, there = (learn(v, labels, epochs=3) for v in (vectors, mapped))
    assert there.kernel.tobytes() == here.kernel.tobytes()
    assert there.held_out_logits.tobytes() == here.held_out_logits.tobytes()
    assert there.history == here.history


def test_epochs_start_at_1_and_the_last_has_the_metrics_of_the_held_out_logits():
    vectors, labels = clouds(spread=0.8)
    head = learn(vectors, labels, epochs=7)
    assert [epoch.epoch for epoch in head.history] == list(range(1, 8))
    shares = softmax(head.held_out_logits)
    losses = -np.log(shares[np.arange(30), labels])
    assert head.history[-1].val_loss == pytest.approx(losses.mean(), rel=1e-5)
    correct = head.held_out_logits.argmax(axis=1) == labels
    assert head.history[-1].val_accuracy == pytest.approx(correct.mean())


def test_lbfgs_stops_at_convergence():
    vectors, labels = clouds(spread=0.8)
    head = learn(vectors, labels, epochs=TO_CONVERGENCE, l2=0.01)
    assert len(head.history) < 100
    assert [epoch.epoch for epoch in head.history] == list(range(1, len(head.history) + 1))


@pytest.mark.parametrize("photos", [4, 60])  # 60 alike balance to a gradient of exactly 0
def test_identical_photos_have_a_history_too(photos):
    vectors, labels = np.ones((photos, 1, 2), np.float32), np.arange(photos) % 2
    folds = assign_folds(labels, alone(labels), 5, 0)
    head = train_head(vectors, labels, folds, balance(labels, 2), 2, [2], PARAMS)
    assert head.history[-1].loss == pytest.approx(np.log(2), abs=0.1)
    assert np.isfinite(head.held_out_logits).all()
    assert not head.kernel.any()


def test_training_repeats_to_the_bit():
    first, second = (learn(*clouds(), epochs=5) for _ in range(2))
    assert first.kernel.tobytes() == second.kernel.tobytes()
    assert first.history == second.history


def test_a_rare_brand_is_not_forgotten():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], [60, 60, 3])
    vectors = (np.eye(3, 4)[labels] + rng.normal(0, 0.6, (123, 4)))[:, None].astype(np.float32)
    params = dataclasses.replace(PARAMS, epochs=10)
    folds = assign_folds(labels, alone(labels), 3, 0)
    recalls = []
    for weights in (balance(labels, 3), np.ones(123, np.float32)):
        head = train_head(vectors, labels, folds, weights, 3, [4], params)
        recalls.append((predict(head, vectors)[labels == 2].argmax(axis=1) == 2).mean())
    assert recalls[0] > recalls[1]


def test_the_scale_of_a_kind_of_features_does_not_matter():
    vectors, labels = clouds(width=8)
    scaled = vectors * np.repeat([1.0, 100.0], 4).astype(np.float32)
    plain, other = (learn(v, labels, widths=[4, 4]) for v in (vectors, scaled))
    shares = softmax(plain.held_out_logits), softmax(other.held_out_logits)
    assert np.allclose(*shares, atol=1e-3)


def test_a_stronger_penalty_makes_smaller_weights():
    weak, strong = (learn(*clouds(), l2=l2) for l2 in (0.001, 1.0))
    assert np.abs(strong.kernel).sum() < 0.5 * np.abs(weak.kernel).sum()


def test_the_penalty_does_not_grow_with_the_number_of_photos():
    """As a prior on the weights: with every photo twice it weighs half as much against them."""
    vectors, labels = clouds()
    once = learn(vectors, labels, l2=0.1, epochs=200)
    twice = learn(np.tile(vectors, (2, 1, 1)), np.tile(labels, 2), l2=0.2, epochs=200)
    assert np.allclose(predict(once, vectors), predict(twice, vectors), atol=2e-3)


def test_label_smoothing_lowers_the_confidence():
    sharp, smooth = (
        softmax(learn(*clouds(), label_smoothing=share).held_out_logits) for share in (0.0, 0.3)
    )
    assert smooth.max(axis=1).mean() < sharp.max(axis=1).mean()


def test_a_smoothed_label_is_a_share_of_all_brands():
    vectors, labels = clouds(photos=9, views=2)
    logits = np.random.default_rng(0).normal(0, 2, (18, 3))

    def loss(labels, smoothing):
        problem = make_problem(vectors, labels, np.ones((9, 1), bool), label_smoothing=smoothing)
        return softmax_loss(logits, problem, slice(None))[0].sum()

    of_all = np.mean([loss(np.full(9, brand), 0.0) for brand in range(3)])
    assert loss(labels, 0.3) == pytest.approx(0.7 * loss(labels, 0.0) + 0.3 * of_all)


def test_the_gradient_of_the_loss_equals_its_finite_differences():
    rng = np.random.default_rng(0)
    vectors, labels = clouds(photos=9, views=2)
    in_training = rng.random((9, 4)) > 0.3
    weights = rng.random(9)
    problem = make_problem(vectors, labels, in_training, weights, label_smoothing=0.2)
    logits, direction = rng.normal(0, 1, (2, 8, 12))
    photos = slice(3, 7)  # of two views each
    _, gradient = softmax_loss(logits, problem, photos)
    step = 1e-5
    ahead, behind = (
        softmax_loss(logits + s * direction, problem, photos)[0].sum() for s in (step, -step)
    )
    assert (gradient * direction).sum() == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)


def test_an_epochs_metrics_are_over_the_training_and_held_out_photos_of_each_fold(monkeypatch):
    rng = np.random.default_rng(0)
    labels = clouds(photos=12)[1]
    folds = np.arange(12) % 4
    in_training = np.concatenate([folds[:, None] != np.arange(4), np.ones((12, 1), bool)], axis=1)
    # Vectors of one photo each, so that the kernel's rows are their logits.
    vectors = np.stack([np.eye(12), rng.normal(0, 1, (12, 12))], axis=1)
    problem = make_problem(vectors, labels, in_training)
    kernel, bias = rng.normal(0, 2, (12, 15)), rng.normal(0, 2, 15)
    logits = (kernel + bias).reshape(12, 5, 3)
    monkeypatch.setattr(standardizer, "_PORTION", 5 * 12)

    epoch, held_out = evaluate_epoch(3, Weights(kernel, bias), problem)
    trained: list[tuple[float, bool]] = []
    held_out_metrics: list[tuple[float, bool]] = []
    for photo in range(12):
        for fold in range(4):
            probabilities = softmax(logits[photo, fold])
            correct = probabilities.argmax() == labels[photo]
            metrics = -np.log(probabilities[labels[photo]]), correct
            (held_out_metrics if folds[photo] == fold else trained).append(metrics)
    expected = [*np.mean(trained, axis=0), *np.mean(held_out_metrics, axis=0)]
    assert epoch.epoch == 3
    assert dataclasses.astuple(epoch)[1:] == pytest.approx(expected)
    assert np.array_equal(held_out, logits[np.arange(12), folds])


def test_softmax_of_huge_logits_is_finite():
    assert softmax(np.array([[1e4, 0.0, -1e4]])).tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize("width", [4, 90])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_vectors_that_are_not_finite_raise_a_one_line_error(width):
    vectors, labels = clouds(width=width)
    vectors[3, 1, 2] = np.inf
    paths = alone(labels)
    brands = [f"brand {label}" for label in labels]
    features = Features(
        vectors, paths, brands, paths, paths, Recipe("stretch", 32, (width,)), Path("n")
    )
    params = read_section(ROOT / "params.yaml", "train", TrainParams)
    with pytest.raises(UserError, match="finite") as caught:
        train(features, dataclasses.replace(params, epochs=2))
    assert "\n" not in str(caught.value)


def test_balanced_accuracy_shows_that_a_rare_brand_is_never_predicted():
    """Always predicting the larger brand is correct for 99 % of the held-out photos."""
    names = [f"{number:03}" for number in range(202)]
    brands = ["rare"] * 2 + ["usual"] * 200
    vectors = np.zeros((202, 1, 4), np.float32)
    features = Features(
        vectors, names, brands, names, names, Recipe("stretch", 32, (4,)), Path("n")
    )
    logits = np.tile([0.0, 4.0], (202, 1))
    epoch = Epoch(1, 0.1, 0.99, 0.1, 200 / 202)
    head = TrainedHead(
        np.zeros((4, 2)),
        np.zeros(2),
        logits,
        np.zeros(202, int),
        np.zeros((1, 4, 2)),
        np.zeros((1, 2)),
        [epoch],
    )
    summary = summarize(head, features, 1.0, logits)
    assert summary["val_accuracy"] == pytest.approx(0.990, abs=1e-3)
    assert summary["val_balanced_accuracy"] == 0.5
