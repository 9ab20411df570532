"""Fine-tuning with Keras: what it learns, what ships, and how it goes on when it was killed."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from carbrand.network.keras_import import import_keras
from carbrand.node.errors import UserError
from carbrand.scores.files.history import Epoch
from carbrand.training.finetuning import heads
from carbrand.training.finetuning.devices import memory_explained
from carbrand.training.finetuning.fit import compile_model
from carbrand.training.finetuning.frozen_or_tuned import choose_folds, compare
from carbrand.training.finetuning.heads import extract
from carbrand.training.finetuning.optimizer import learning_rate
from carbrand.training.finetuning.photo_batches import PhotoCache
from carbrand.training.finetuning.run_file import RunFile, clear_run_files
from carbrand.training.finetuning.trainable import (
    make_trainable,
    resize_network,
    set_learning_layers,
)
from carbrand.training.finetuning.tune import TunedModel
from carbrand.vectors.standardizer import Standardizer
from tests.support.running import in_torture
from tests.unit.training.finetuning.small import PARAMS, SIZE_PX, draw_photos, make_network, run

pytestmark = pytest.mark.usefixtures("on_tensorflow")


class Killed(Exception):
    """What a test raises in place of a signal."""


def weights_of(tuned: TunedModel) -> list[bytes]:
    assert tuned.network is not None
    assert tuned.kernel is not None
    return [array.tobytes() for array in (*tuned.network.get_weights(), tuned.kernel, tuned.bias)]


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> Path:
    """Where the run `tuned` keeps its state."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def tuned(state) -> TunedModel:
    return run(state)


def test_colours_are_learned_and_the_better_model_ships(tuned):
    assert tuned.verdict.asked == 12
    assert tuned.verdict.tuned.correct == 12
    assert tuned.verdict.frozen.correct == 4  # always the first brand
    assert tuned.verdict.ships_tuned
    assert [epoch.epoch for epoch in tuned.history] == [1, 2, 3]
    assert tuned.history[-1].val_accuracy == 1.0
    assert tuned.network.inputs[0].shape == (None, 40, 40, 3)
    before = make_network().get_weights()
    after = tuned.network.get_weights()
    changed = [not np.array_equal(one, other) for one, other in zip(before, after, strict=True)]
    assert changed == [True, True, False, False, False, False]  # batch norm stays


def test_the_same_run_gives_the_same_bits(tuned, tmp_path):
    assert weights_of(run(tmp_path)) == weights_of(tuned)


def test_another_seed_gives_other_bits(tuned, tmp_path):
    other = run(tmp_path, dataclasses.replace(PARAMS, seed=1, compare_photos=1))
    assert weights_of(other) != weights_of(tuned)


def test_killed_after_any_epoch_it_goes_on_to_the_same_bits(tuned, tmp_path):
    kills = [("without-fold-0", 1), ("without-fold-1", 3), ("all", 2)]
    seen: list[tuple[str, int]] = []

    def kill(run: str, epoch: int) -> None:
        seen.append((run, epoch))
        if (run, epoch) in kills:
            raise Killed

    for _ in kills:
        with pytest.raises(Killed):
            run(tmp_path, on_epoch=kill)
    assert [place for place in seen if place in kills] == kills
    again = run(tmp_path, on_epoch=kill)
    assert weights_of(again) == weights_of(tuned)
    assert again.history == tuned.history
    assert len(seen) == len(set(seen)) == 9  # no epoch ran twice


def test_a_damaged_file_of_a_run_counts_as_absent(tuned, state, tmp_path):
    for path in state.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:1000])
    assert len(list(tmp_path.iterdir())) == 3
    assert weights_of(run(tmp_path)) == weights_of(tuned)


def test_a_full_disk_costs_a_note_and_keeps_the_epochs_before(tmp_path, capsys):
    resource = pytest.importorskip("resource", reason="there are no such limits on Windows")
    file, values = RunFile(tmp_path, "0" * 64, "all"), [np.arange(3.0)]
    epochs = [Epoch(number, 0.5, 0.5, 0.5, 0.5) for number in (1, 2, 3)]
    file.save(values, epochs[:1])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # says the same as a full disk
    try:
        file.save(values, epochs[:2])
        file.save(values, epochs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capsys.readouterr().err == (
        f"note: {tmp_path} does not keep epoch 2: File too large. Killed, this training would go "
        "on from an earlier one.\n"
    )
    assert len(list(tmp_path.iterdir())) == 1
    saved = file.load()
    assert saved
    assert saved[1] == epochs[:1]
    file.save(values, epochs)
    saved = file.load()
    assert saved
    assert saved[1] == epochs


def test_files_of_other_runs_are_removed_and_no_others(tmp_path):
    for key in ("0" * 64, "1" * 64):
        RunFile(tmp_path, key, "all").save([np.zeros(3)], [])
    (tmp_path / "mine.txt").write_text("", "utf-8")
    clear_run_files(tmp_path, but_of="1" * 64)
    assert sorted(path.name[:4] for path in tmp_path.iterdir()) == ["1111", "mine"]
    clear_run_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_where_tuning_does_not_win_the_frozen_model_ships(tmp_path):
    photos, frozen = draw_photos()
    knows = 20 * np.eye(3, dtype=np.float32)[photos.labels]
    model = run(tmp_path, data=(photos, dataclasses.replace(frozen, logits=knows)))
    assert not model.verdict.ships_tuned
    assert model.network is None
    assert model.kernel is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"frozen_share": 1.0, "batch_norm": "frozen"}, marks=in_torture),
        pytest.param({"batch_norm": "trained"}, marks=in_torture),
        pytest.param({"layer_decay": 0.5}, marks=in_torture),
        {"ema": 0.5},
        {"precision": "mixed_float16"},
        pytest.param({"dropout": 0.0}, marks=in_torture),
        {"size_px": 48},
    ],
    ids=str,
)
def test_every_knob_trains_and_changes_the_result(tuned, tmp_path, change):
    params = dataclasses.replace(PARAMS, compare_photos=1, **change)
    photos, frozen = draw_photos()
    if "size_px" in change:
        grown = np.repeat(np.repeat(photos.unchanged.read(np.arange(18)), 2, 1), 2, 2)[:, :48, :48]
        cache = type(photos.unchanged)(lambda number: grown[number])
        photos = dataclasses.replace(photos, augmented=cache, unchanged=cache)
    changed = run(tmp_path, params, data=(photos, frozen))
    assert weights_of(changed) != weights_of(tuned)
    assert all(math.isfinite(epoch.loss) for epoch in changed.history)
    assert {array.dtype for array in changed.network.get_weights()} == {np.dtype(np.float32)}
    assert changed.verdict.tuned.correct > 2 == changed.verdict.frozen.correct
    if change == {"ema": 0.5}:  # and from a file it goes on all the same
        assert weights_of(run(tmp_path, params)) == weights_of(changed)


def test_a_loss_that_is_no_number_is_one_line_with_the_knob_to_turn(tmp_path):
    params = dataclasses.replace(PARAMS, learning_rate=1.0, warmup=0.0, epochs=40)
    network = make_network()
    network.get_layer("conv").set_weights([np.full((3, 3, 3, 12), 1e38), np.zeros(12)])
    with pytest.raises(UserError, match=r"finetune\.learning_rate 1\. Lower it"):
        run(tmp_path, params, network=network)


def fail_to_decode(_number: int) -> np.ndarray:
    raise MemoryError


@pytest.mark.parametrize("short_of", ["pixels", "maps"])
def test_too_little_memory_is_one_line_with_the_knobs_to_turn(short_of, tmp_path):
    photos, frozen = draw_photos()
    network = make_network()
    if short_of == "pixels":
        photos = dataclasses.replace(photos, augmented=PhotoCache(fail_to_decode))
    else:  # 6 PB, more than any process can address
        layers = import_keras().layers
        maps = layers.ZeroPadding2D(2_000_000)(network.get_layer("relu").output)
        vectors = layers.GlobalAveragePooling2D()(maps)
        network = import_keras().Model(network.inputs, vectors)
    words = r"not enough memory for steps of 8 photos of 40 px\. Halve finetune\.batch_size"
    with pytest.raises(UserError, match=words), memory_explained(PARAMS):
        run(tmp_path, data=(photos, frozen), network=network)


def test_the_head_of_raw_vectors_gives_the_logits_of_the_model():
    keras, network = import_keras(), make_network()
    photos = np.random.default_rng(0).uniform(0, 255, (4, SIZE_PX, SIZE_PX, 3)).astype(np.float32)
    vectors = network.predict(photos, verbose=0)
    space = Standardizer.fit(vectors[:, None], [12, 12])
    trainable = make_trainable(keras, network, space, 3, PARAMS)
    compile_model(keras, trainable, PARAMS)
    head = np.random.default_rng(1).normal(size=(25, 3)).astype(np.float32)
    trainable.start_from(network.get_weights(), head)
    expected = vectors @ head[:-1] + head[-1]
    np.testing.assert_allclose(trainable.model.predict(photos, verbose=0), expected, atol=1e-4)


def test_a_network_of_another_size_has_the_same_weights_and_names():
    network = make_network()
    larger = resize_network(import_keras(), network, 64)
    assert larger.inputs[0].shape == (None, 64, 64, 3)
    assert [layer.name for layer in larger.layers] == [layer.name for layer in network.layers]
    for one, other in zip(network.get_weights(), larger.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_a_network_that_knows_one_size_only_is_one_line():
    keras = import_keras()
    photos = keras.Input((SIZE_PX, SIZE_PX, 3), name="photos")
    flat = keras.layers.Flatten(name="flat")(photos)
    network = keras.Model(photos, keras.layers.Dense(4, name="dense")(flat), name="fixed")
    with pytest.raises(UserError, match=r"finetune\.size_px: 64 does not suit the network"):
        resize_network(keras, network, 64)


def test_the_first_share_of_the_layers_is_frozen():
    keras, network = import_keras(), make_network()
    set_learning_layers(keras, network, dataclasses.replace(PARAMS, frozen_share=0.5))
    assert not network.get_layer("conv").trainable
    set_learning_layers(keras, network, dataclasses.replace(PARAMS, batch_norm="trained"))
    assert network.get_layer("conv").trainable
    assert network.get_layer("norm").trainable


def test_vectors_in_portions_are_those_of_all_photos_at_once(monkeypatch):
    photos, _ = draw_photos()
    at_once = extract(make_network(), photos.unchanged, 18, 4)
    monkeypatch.setattr(heads, "BATCHES", 2)
    assert np.array_equal(extract(make_network(), photos.unchanged, 18, 4), at_once)
    expected = make_network().predict(photos.unchanged.read(np.arange(18)), verbose=0)
    assert at_once == pytest.approx(expected, abs=1e-5)


def test_the_rate_rises_then_falls_to_nothing():
    params = dataclasses.replace(PARAMS, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(step, 100, params) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == pytest.approx(1.0)
    assert all(one > other for one, other in itertools.pairwise(rates[10:]))
    assert rates[55] == pytest.approx(0.5)
    assert rates[-1] < 0.001


def test_folds_are_asked_until_there_are_photos_enough():
    folds = np.repeat([0, 1, 2], [5, 5, 5])
    assert choose_folds(folds, 1) == choose_folds(folds, 5) == [0]
    assert choose_folds(folds, 6) == [0, 1]
    assert choose_folds(folds, 1000) == [0, 1, 2]


def test_the_smaller_log_loss_wins():
    labels = np.array([0, 1, 0, 1])
    good = np.array([[2.0, 0], [0, 2], [2, 0], [0, 2]])
    surer, worse = 2 * good, good * [[1], [1], [1], [-1]]
    assert compare(worse, good, labels, PARAMS).ships_tuned
    assert compare(good, surer, labels, PARAMS).ships_tuned
    assert not compare(good, good, labels, PARAMS).ships_tuned
    assert not compare(good, worse, labels, PARAMS).ships_tuned
    assert compare(good, worse, labels, dataclasses.replace(PARAMS, ship="tuned")).ships_tuned
    unsure = np.array([[0.1, 0], [0, 0.1], [0.1, 0], [0, 0.1]])
    one_wrong = np.array([[2.0, 0], [0, 2], [2, 0], [0.1, 0]])
    assert compare(unsure, one_wrong, labels, PARAMS).ships_tuned
