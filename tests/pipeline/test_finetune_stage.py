"""The node `finetune`: what it makes, who uses it, and what stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from carbrand.model.classifier import Classifier
from carbrand.model.model_file import read_rules
from carbrand.network.keras_import import import_keras
from carbrand.node.files.metrics_file import read_metrics
from carbrand.photos.photo import read_photo
from carbrand.scores.files.history import read_history
from carbrand.scores.files.predictions_file import read_predictions
from carbrand.training.finetuning.devices import distribute
from tests.conftest import ROOT, edit_params, own_environment, run
from tests.support.copies import copy_made
from tests.support.running import bits, in_torture, leftovers, nodes_of
from tests.unit.training.finetuning.small import losses_of_two_epochs

SMALL = {
    "finetune__epochs": 1,
    "finetune__min_steps": 4,  # two epochs of so few photos
    "finetune__min_photos": 0,
    "finetune__size_px": 32,
    "finetune__predict_px": 40,
    "finetune__batch_size": 8,
    "finetune__compare_photos": 1,  # one fold
    "finetune__ship": "tuned",
}
# Kills of a fine-tuning, spread evenly over the time that it takes.
KILLS = 20


def tune(project: Path) -> subprocess.CompletedProcess[str]:
    """The node alone."""
    return run([sys.executable, *nodes_of(project)["finetune"][1:]], project)


def tune_after(project: Path, code: str) -> subprocess.CompletedProcess[str]:
    """The node alone, in a process that runs `code` before."""
    arguments = nodes_of(project)["finetune"][2:]
    start = f"sys.argv = {arguments!r}\nrunpy.run_module('stages.finetune', run_name='__main__')"
    return run([sys.executable, "-c", f"import os, runpy, sys\n{code}\n{start}"], project)


def _tune_all(project: Path) -> None:
    edit_params(project, **SMALL)
    result = run([sys.executable, "-m", "stages"], project)
    assert result.returncode == 0, result.stdout + result.stderr
    started = [line.split("'")[1] for line in result.stdout.splitlines() if "Running stage" in line]
    assert started == ["finetune", "evaluate", "plot"]


@pytest.fixture(scope="session")
def _tuned(_finished: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    def make(project: Path) -> None:
        copy_made(_finished, project)
        _tune_all(project)

    return made_once("tuned", make)


@pytest.fixture
def tuned(_tuned: Path, tmp_path: Path) -> Path:
    """A project in which the pipeline ran with a small fine-tuning, which ships."""
    return copy_made(_tuned, tmp_path / "project")


def test_the_tuned_model_ships_and_every_reader_says_so(tuned):
    summary = read_metrics(tuned / "artifacts/finetune/summary.json")
    assert summary["ships_tuned"] == 1
    assert summary["epochs"] == 2
    assert summary["asked"] >= 1
    history = read_history(tuned / "artifacts/finetune/history.csv")
    assert [epoch.epoch for epoch in history] == [1, 2]
    assert history[-1].val_loss == pytest.approx(summary["val_loss"], abs=1e-4)
    report = (tuned / "artifacts/plot/report.html").read_text("utf-8")
    assert "tuned network ships" in report
    assert not (tuned / ".finetuning").exists()
    again = run([sys.executable, "-m", "stages"], tuned)
    assert "Running stage" not in again.stdout


@pytest.mark.usefixtures("on_tensorflow")
def test_plain_keras_gives_the_digits_of_the_pipeline(tuned, monkeypatch):
    monkeypatch.chdir(tuned)
    file = Path("artifacts/finetune/model.h5")
    photo = sorted(Path("Datasets/test").glob("*/*"))[0].as_posix()
    classifier = Classifier(file, heatmaps=True)
    assert classifier.size_px == 40
    ((_, prediction),) = classifier.predict([photo])
    (expected,) = (
        import_keras()
        .models.load_model(file)
        .predict(read_photo(photo, 40, "stretch")[None], verbose=0)
    )
    assert prediction.probabilities.tolist() == pytest.approx(expected.tolist(), abs=1e-4)
    assert prediction.heatmap.max() <= 1.0


def test_the_tuned_model_keeps_the_promises_of_train_measured_in_its_own_space(tuned):
    models = [tuned / f"artifacts/{node}/model.h5" for node in ("train", "finetune")]
    rule = Classifier(models[0]).unknown_rule
    assert rule is not None
    width = len(rule.space.mean)
    (frozen, frozen_sets), (own, own_sets) = (read_rules(model, width) for model in models)
    assert frozen
    assert own
    assert frozen_sets
    assert own_sets
    assert own.share == frozen.share == 0.05
    assert own_sets.level == frozen_sets.level == 0.9
    assert own.weights != frozen.weights
    assert not np.allclose(own.space.mean, frozen.space.mean, atol=1e-3)
    rows, _ = read_predictions(tuned / "artifacts/evaluate/predictions.csv")
    metrics = read_metrics(tuned / "artifacts/evaluate/metrics.json")
    assert all(row.predicted in row.brand_set for row in rows)
    assert metrics["conformal"]["level"] == 0.9
    assert metrics["unknown"]["share"] == pytest.approx(
        np.mean([row.unknown for row in rows if not row.leaked]), abs=1e-4
    )


@in_torture  # in every run, tests/unit/training/finetuning/test_tune.py has the same bits twice
def test_a_second_run_gives_the_same_bytes_on_one_core_too(tuned):
    before = bits(tuned)
    one_core = (
        "if hasattr(os, 'sched_setaffinity'):\n"
        "    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    )
    result = tune_after(tuned, one_core)
    assert result.returncode == 0, result.stderr
    assert bits(tuned) == before


def test_handing_on_imports_no_keras_and_gives_the_same_bytes(finished):
    edit_params(finished, finetune__epochs=0)
    command = nodes_of(finished)["finetune"]
    code = (
        "import sys; from pathlib import Path; from stages.finetune import main\n"
        f"main(*map(Path, {command[3:]!r}))\n"
        "assert not {'keras', 'tensorflow', 'openvino'} & set(sys.modules)"
    )
    result = run([sys.executable, "-c", code], finished)
    assert result.returncode == 0, result.stderr
    models = [finished / f"artifacts/{node}/model.h5" for node in ("train", "finetune")]
    assert models[0].read_bytes() == models[1].read_bytes()
    assert read_metrics(finished / "artifacts/finetune/summary.json")["ships_tuned"] == 0


def test_few_photos_are_handed_on(finished):
    photos = read_metrics(finished / "artifacts/train/summary.json")["photos"]
    edit_params(finished, finetune__epochs=5, finetune__min_photos=photos + 1)
    assert tune(finished).returncode == 0
    assert read_metrics(finished / "artifacts/finetune/summary.json") == {
        "photos": photos,
        "epochs": 0,
        "ships_tuned": 0,
    }


def test_logs_without_tensorboard_are_one_line(finished):
    edit_params(finished, **SMALL, finetune__tensorboard=True)
    # Python's way to say "not there"
    result = tune_after(finished, "sys.modules['tensorboard'] = None")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "finetune.tensorboard: the package tensorboard is not installed" in result.stderr


@in_torture  # in every run, test_tune.py kills
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143)],
)
def test_stopped_in_an_epoch_it_ends_at_once_and_goes_on_after_the_one_before(
    number, status, tuned
):
    edit_params(tuned, finetune__epochs=4)
    before = bits(tuned)
    with subprocess.Popen(
        [sys.executable, *nodes_of(tuned)["finetune"][1:]],
        cwd=tuned,
        env=own_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert "epoch 1" in process.stdout.readline()
        process.send_signal(number)
        time.sleep(0.3)
        process.send_signal(number)  # by somebody impatient
        _, said = process.communicate()
    assert (process.returncode, said) == (status, "stopped\n")
    assert bits(tuned) == before
    resumed = tune(tuned)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "without-fold-0: epoch 1 " not in resumed.stdout
    after = bits(tuned)
    assert after != before
    if number == signal.SIGTERM:
        assert tune(tuned).returncode == 0
        assert bits(tuned) == after


# 5,000 bytes, for which AutoGraph would have no room either.
FULL_DISK = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))"
)


@in_torture  # in every run, a full disk ends other nodes
def test_a_disk_without_room_for_the_model_is_one_line_before_any_epoch(tuned):
    pytest.importorskip("resource", reason="there are no such limits on Windows")
    edit_params(tuned, finetune__epochs=1)
    before = bits(tuned)
    result = tune_after(tuned, FULL_DISK)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: artifacts has no space left for the files of artifacts/finetune. Free some space "
        "and run it again.\n"
    )
    assert bits(tuned) == before
    assert leftovers(tuned) == []


def kill_after(project: Path, seconds: float) -> bool:
    """Start the node and kill it; whether it still ran."""
    process = subprocess.Popen(
        [sys.executable, *nodes_of(project)["finetune"][1:]],
        cwd=project,
        env=own_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    alive = process.poll() is None
    if alive:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return alive


@in_torture
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_killed_at_many_moments_it_ends_with_the_same_bytes(tuned):
    edit_params(tuned, finetune__epochs=6)
    start = time.monotonic()
    assert tune(tuned).returncode == 0
    took = time.monotonic() - start
    expected = bits(tuned)
    killed = 0
    for number in range(KILLS):
        killed += kill_after(tuned, took * (number + 1) / (KILLS + 1))
        assert tune(tuned).returncode == 0
        assert bits(tuned) == expected
    assert killed > KILLS / 2


# The losses of the network of the unit tests where there are two logical processors.
SPREAD = """
from carbrand.network.keras_import import import_keras
import_keras()
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from carbrand.training.finetuning.devices import distribute
from tests.unit.training.finetuning.small import losses_of_two_epochs
assert distribute().num_replicas_in_sync == 2
print(*losses_of_two_epochs())
"""


@in_torture  # it imports TensorFlow twice
@pytest.mark.usefixtures("on_tensorflow")
def test_two_devices_share_a_batch_and_reach_the_same_losses():
    result = run([sys.executable, "-c", SPREAD], ROOT)
    assert result.returncode == 0, result.stderr
    shared = [float(loss) for loss in result.stdout.splitlines()[-1].split()]
    assert distribute().num_replicas_in_sync == 1
    assert shared == pytest.approx(losses_of_two_epochs(), rel=1e-3)
