"""The benchmark against what people do today measures what it says, and its rivals do learn."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from bench.article import Row, count_right, make_table, parse
from bench.measure import Cost, measure
from bench.rivals import article_script, keras_guide, plain_tuning
from carbrand.node.errors import UserError
from carbrand.scores.evaluation import PredictedPhoto
from tests.conftest import PAINTS, ROOT, draw_dataset, run
from tests.support.running import in_torture

# A child of the command takes so many MB at least, and computes for so long.
CHILD_MB, CHILD_CPU_S = 150, 0.3
PARENT = f"""
import subprocess, sys
child = '''
import time
held = bytearray({CHILD_MB << 20})
held[::4096] = bytes([1]) * len(held[::4096])
while time.process_time() < {CHILD_CPU_S}:
    pass
'''
subprocess.run([sys.executable, "-c", child], check=True)
print("done")
"""


def test_a_cost_counts_what_the_children_of_the_command_took(tmp_path):
    cost = measure([sys.executable, "-c", PARENT], tmp_path)
    assert cost.stdout == "done\n"
    assert cost.cpu_s >= CHILD_CPU_S
    assert cost.peak_mb >= CHILD_MB
    assert cost.family_mb >= cost.peak_mb


def test_a_cost_counts_nothing_of_the_command_before(tmp_path):
    # In a small process: Linux counts what its parent holds to the peak of a child.
    code = (
        "import pathlib, sys; from bench.measure import measure\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        f"measure([sys.executable, '-c', {PARENT!r}], here)\n"
        "print(measure([sys.executable, '-c', 'pass'], here).peak_mb)"
    )
    result = run([sys.executable, "-c", code], ROOT)
    assert int(result.stdout) < CHILD_MB


def test_a_command_that_fails_is_no_cost_but_an_error_with_its_own_words(tmp_path, capsys):
    with pytest.raises(SystemExit, match="status 3"):
        measure(
            [sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"],
            tmp_path,
            quiet=True,
        )
    assert "why" in capsys.readouterr().err


def photo(name: str, actual: str, leaked: bool = False) -> PredictedPhoto:
    return PredictedPhoto(f"Datasets/test/{name}", actual, actual, 1.0, leaked, (1.0, 0.0))


def test_copies_count_for_no_rival_and_a_photo_without_answer_is_wrong():
    photos = [
        photo("asta/0.png", "asta"),
        photo("asta/1.png", "asta"),
        photo("bolt/0.png", "bolt", leaked=True),
        photo("bolt/1.png", "bolt"),
    ]
    answers = {"asta/0.png": "asta", "asta/1.png": "bolt", "bolt/0.png": "bolt"}
    assert count_right(answers, photos) == 1
    assert count_right(answers | {"bolt/1.png": "bolt"}, photos) == 2


def test_the_table_takes_the_middle_round_and_compares_with_the_first_row():
    slow, middle, fast = (
        Cost(s, s / 2, mb, mb, "") for s, mb in ((40.0, 100), (20.0, 300), (10.0, 200))
    )
    rows = [
        Row("ours", [Cost(10.0, 5.0, 150, 200, "")], 9),
        Row("rival", [slow, fast, middle], None),
    ]
    ours, rival = make_table(rows, 10).splitlines()[2:]
    assert ours == "| ours | 10.0 | 1.0 | 5.0 | 1.0 | 150 | 1.0 | 200 | 1.0 | 90.0% (9 of 10) |"
    assert rival == "| rival | 20.0 | 2.0 | 10.0 | 2.0 | 300 | 2.0 | 300 | 1.5 | - |"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no folder train/"),
        ([".", "--epochs", "0"], "begin at 1"),
        ([".", "--weights", "none.h5"], "not a file"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_runs(tmp_path, monkeypatch, arguments, said):
    draw_dataset(tmp_path, train=1, test=1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        parse(arguments)


def test_a_wrong_folder_is_one_line_and_status_2(tmp_path):
    result = run([sys.executable, "-m", "bench.article", str(tmp_path)], ROOT)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def small_base(scale: float) -> Any:
    """A network that tells colours apart: random maps of photos times `scale`, cut off at 1."""
    import keras

    keras.utils.set_random_seed(1)
    photos = keras.Input((32, 32, 3))
    scaled = keras.layers.ReLU(max_value=1)(keras.layers.Rescaling(scale)(photos))
    # Centred, large and many, so that a few small steps are enough.
    centred = keras.layers.Rescaling(6, offset=-2.4)(scaled)
    return keras.Model(photos, keras.layers.Conv2D(64, 8, 8, name="maps")(centred))


def kernel(base: Any) -> np.ndarray:
    return base.get_layer("maps").get_weights()[0].copy()


EXPECTED = {f"{brand}/{number:03}.png": brand for brand in PAINTS for number in range(3)}


@pytest.mark.usefixtures("on_tensorflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("divide", [True, pytest.param(False, marks=in_torture)])
def test_the_articles_script_learns_colours_on_a_frozen_base(tmp_path, divide):
    folder = draw_dataset(tmp_path / "photos", train=12)
    # What is divided too seldom is cut off, what is divided twice is too dark to learn from.
    base = small_base(1.0 if divide else 1 / 255)
    before = kernel(base)
    answers = article_script.train_and_predict(folder, base, tmp_path, 5, divide=divide)
    assert answers == EXPECTED
    assert np.array_equal(kernel(base), before)
    assert {path.name for path in tmp_path.glob("*.*")} == {"loss.png", "accuracy.png", "model.h5"}


@pytest.mark.usefixtures("on_tensorflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("train_and_predict", "epochs", "rate"),
    [
        pytest.param(
            *(keras_guide.train_and_predict, (20, 1), keras_guide.FINE_RATE), marks=in_torture
        ),
        pytest.param(*(plain_tuning.train_and_predict, (2,), plain_tuning.RATE), marks=in_torture),
    ],
    ids=["guide", "plain"],
)
def test_who_tunes_the_base_learns_colours_in_small_steps(
    tmp_path, train_and_predict, epochs, rate
):
    folder = draw_dataset(tmp_path / "photos", train=12)
    base = small_base(1 / 255)
    before = kernel(base)
    assert train_and_predict(folder, base, tmp_path, *epochs) == EXPECTED
    assert 0 < abs(kernel(base) - before).max() < 5 * rate
