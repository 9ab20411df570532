"""Two at once: one waits or says so, nothing is torn, and afterwards everything is as by one."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys

import pytest

from carbrand.node.errors import UserError
from carbrand.pipeline.locks import held_within, is_held
from tests.conftest import edit_params, git, run
from tests.support.running import Run, await_that, bits, forget, in_torture, leftovers, nodes_of
from tests.support.toy import PAUSE


def test_two_runs_take_turns(pipeline, monkeypatch):
    expected = bits(pipeline)
    shutil.rmtree(pipeline / ".dvc/cache")
    *_, former, final = nodes_of(pipeline)
    # The toy's run is over so soon that the second might find nobody at work.
    monkeypatch.setenv(PAUSE, f"{final} works=5")
    for node in (former, final):
        forget(pipeline, node)
    runs = [Run(pipeline), Run(pipeline)]
    assert [running.end() for running in runs] == [0, 0], [running.said() for running in runs]
    first, second = sorted(runs, key=lambda running: "Waiting" in running.said())
    assert f"Running stage '{final}'" in first.said()
    assert "note: another `make repro` is at work here. Waiting for its end." in second.said()
    assert "Running stage" not in second.said()
    assert "Data and pipelines are up to date." in second.said().splitlines()
    if final == "plot":
        last = [running.said().split("\n\n")[-1] for running in runs]
        assert last[0] == last[1]
        assert last[0].endswith("report        artifacts/plot/report.html\n")
    assert bits(pipeline) == expected
    assert leftovers(pipeline) == []


def test_who_waits_can_be_stopped(pipeline, slow):
    first = Run(pipeline)
    first.await_process(f"stages.{slow}")
    second = Run(pipeline)
    await_that(lambda: "Waiting" in second.said(), "the second to wait")
    second.process.send_signal(signal.SIGTERM)
    assert second.end() == 143
    assert second.said().splitlines()[-1] == "stopped"
    assert first.process.poll() is None
    first.process.send_signal(signal.SIGTERM)
    assert first.end() == 143
    first.await_nothing_left()


@in_torture
def test_a_run_waits_for_an_experiment(finished):
    """And both results are whole: the experiment's in its own commit, and ours here."""
    experiment = Run(finished, command=("dvc", "exp", "run", "-n", "other", "-S", "train.l2=0.5"))
    experiment.await_process("stages.train")
    second = Run(finished)
    assert experiment.end() == 0, experiment.said()
    assert second.end() == 0, second.said()
    assert "note: DVC is at work here (" in second.said()
    assert "Traceback" not in experiment.said() + second.said()
    assert run(["dvc", "status", "-q"], finished).returncode == 0
    assert "other" in run(["dvc", "exp", "list"], finished).stdout
    alone = bits(finished)
    assert run([sys.executable, "-m", "stages", "--force"], finished).returncode == 0
    assert bits(finished) == alone
    assert leftovers(finished) == []


@in_torture
def test_dvc_by_hand_beside_a_run_gives_way(finished):
    """DVC says which process is at work, and the other one gets what it gets alone."""
    edit_params(finished, train__l2=0.5)
    expected = Run(shutil.copytree(finished, finished.with_name("alone"), symlinks=True))
    assert expected.end() == 0
    first = Run(finished)
    first.await_process("stages.train")
    second = Run(finished, command=("dvc", "repro"))
    assert second.end() != 0
    assert first.end() == 0, first.said()
    assert bits(finished) == bits(expected.project)


@in_torture
def test_predicting_while_a_model_is_made_has_one_or_says_so(finished):
    edit_params(finished, train__l2=0.5)
    photo = "Datasets/test/asta/000.png"
    running = Run(finished)
    said = []
    while running.process.poll() is None:
        result = run(["carbrand", "predict", photo], finished)
        said.append((result.returncode, result.stdout, result.stderr))
    assert running.end() == 0, running.said()
    assert {status for status, _, _ in said} <= {0, 2}
    for status, printed, errors in said:
        if status == 0:
            assert printed.startswith(f"{photo}: asta ")
        else:
            assert errors.startswith("error: artifacts/finetune/model.h5 does not exist. ")
            assert len(errors.splitlines()) == 1
    assert said[0][0] == 0
    result = run(["carbrand", "predict", photo], finished)
    assert result.returncode == 0
    assert git(finished, "status", "--porcelain", "artifacts/finetune/model.h5") == ""


def test_a_file_that_is_held_is_busy(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path)
    with held_within(path, 0):
        assert is_held(path)
    assert not is_held(path)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_nobody_waits_for_ever_where_files_cannot_be_locked(number, tmp_path, monkeypatch):
    """As a file system without locks says it; none can be mounted here."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError) as caught, held_within(tmp_path / "repro.lock", 0):
        pass
    (line,) = caught.value.problems
    assert line.startswith(f"{tmp_path / 'repro.lock'} cannot be locked ({os.strerror(number)})")
