"""Training shows how far it is: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path

import numpy as np
import pytest

from carbrand.node.params import read_section
from carbrand.node.progress import track, training_progress
from carbrand.vectors.feature_store import Features, Recipe
from stages.train import TrainParams, train
from tests.conftest import ROOT


class Terminal(io.StringIO):
    """What a person sees, with the codes that move the cursor."""

    def isatty(self) -> bool:
        return True


def learn(epochs: int) -> int:
    """The epochs that a training of a few vectors took."""
    labels = np.arange(30) % 3
    noise = np.random.default_rng(0).normal(0, 1, (30, 1, 6))
    vectors = (2 * np.eye(3, 6)[labels][:, None] + noise).astype(np.float32)
    names, brands = [f"{n:02}" for n in range(30)], [f"brand {label}" for label in labels]
    features = Features(
        vectors, names, brands, names, names, Recipe("stretch", 32, (6,)), Path("n")
    )
    params = read_section(ROOT / "params.yaml", "train", TrainParams)
    head = train(features, dataclasses.replace(params, epochs=epochs))
    return head.history[-1].epoch


def test_in_a_log_training_says_a_few_times_how_far_it_is(capsys):
    took = learn(30)
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert 3 <= len(lines) <= 7
    assert lines[0].startswith("Training the head: epoch 1 of at most 30, loss ")
    assert f"epoch {took}" in lines[-1]
    assert all(" % right)" in line for line in lines)


def test_on_a_terminal_training_shows_a_bar_and_leaves_nothing(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    learn(5)
    assert "Training the head: loss " in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is erased
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("epochs", [1, 2, 4, 5, 6, 50, 10_000])
def test_however_long_it_is_the_lines_are_few_and_the_last_epoch_is_told(epochs, capsys):
    with training_progress("Training", epochs) as show:
        for epoch in range(1, epochs + 1):
            show(epoch, "loss 0.1")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 7
    assert f"epoch {epochs}" in lines[-1]
    assert len(set(lines)) == len(lines)


def test_training_that_goes_on_says_from_where(capsys):
    with training_progress("Training", 50) as show:
        for epoch in (37, 38, 39):
            show(epoch, "loss 0.1")
    assert capsys.readouterr().out.splitlines() == [
        "Training: epoch 37 of at most 50, loss 0.1",
        "Training: ended after epoch 39, loss 0.1",
    ]


def test_photos_are_counted_in_silence_where_nobody_looks(capsys):
    assert list(track(range(3), "Looking", 3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
