"""Long training that was killed goes on where it was, and ends with the same bits."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carbrand.training import checkpoint_file, checkpoint_key
from carbrand.training.checkpoint import Checkpoint, Checkpoints
from carbrand.training.checkpoint_key import hash_training
from carbrand.training.head import (
    HeadParams,
    TrainedHead,
    assign_folds,
    balance,
    train_head,
)
from carbrand.training.problem import Problem
from carbrand.vectors.standardizer import Standardizer
from tests.conftest import ROOT, run
from tests.support.local_imports import local_imports

PARAMS = HeadParams(epochs=12, l2=0.001, label_smoothing=0.1)


class Interrupted(Exception):
    """Training was stopped here."""


class Watch:
    """Counts how often vectors are placed, which every step does, and stops after so many."""

    def __init__(self) -> None:
        self.calls = 0
        self.most: int | None = None

    def restart(self, most: int | None = None) -> None:
        self.calls, self.most = 0, most


@pytest.fixture
def watch(monkeypatch) -> Watch:
    watch, place = Watch(), Standardizer.transform

    def watched(self, vectors):
        if watch.calls == watch.most:
            raise Interrupted
        watch.calls += 1
        return place(self, vectors)

    monkeypatch.setattr(Standardizer, "transform", watched)
    return watch


def at_once(folder: Path, **changes: Any) -> Checkpoints:
    """Everything is kept as soon as it is known."""
    place = Checkpoints(folder, after_s=0, every_s=0, rest=0)
    return dataclasses.replace(place, **changes)


def learn(place: Checkpoints | None, width: int = 6, **changes: Any) -> TrainedHead:
    """Of three brands, 30 photos in two views: 60 rows."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    centres = np.eye(3, width)[labels][:, None, :]
    vectors = (centres + rng.normal(0, 0.5, (30, 2, width))).astype(np.float32)
    folds = assign_folds(labels, [f"{number:02}" for number in range(30)], 3, 0)
    params = dataclasses.replace(PARAMS, **changes)
    return train_head(vectors, labels, folds, balance(labels, 3), 3, [width], params, place)


def bits(head: TrainedHead) -> str:
    digest = hashlib.sha256()
    for array in (head.kernel, head.bias, head.held_out_logits, head.folds):
        digest.update(array.tobytes())
    for epoch in head.history:
        digest.update(np.array(dataclasses.astuple(epoch)).tobytes())
    return digest.hexdigest()


# --- the same bits ---


def test_lbfgs_stopped_at_any_step_goes_on_there_with_the_same_bits(watch, tmp_path):
    expected = bits(learn(None))
    steps = watch.calls  # one for each evaluation and each count
    assert steps > 20
    for number in range(steps):
        place = at_once(tmp_path / f"{number}")
        watch.restart(most=number)
        with pytest.raises(Interrupted):
            learn(place)
        watch.restart()
        assert bits(learn(place)) == expected
        assert watch.calls == steps - number  # nothing was done twice


def test_training_that_is_stopped_again_and_again_ends_with_the_same_bits(watch, tmp_path):
    expected = bits(learn(None, epochs=4))
    ended = None
    for _ in range(20):
        watch.restart(most=7)
        try:
            ended = bits(learn(at_once(tmp_path), epochs=4))
            break
        except Interrupted:
            continue
    assert ended == expected


def test_what_was_killed_after_its_last_epoch_is_only_counted_again(watch, tmp_path):
    expected = bits(learn(at_once(tmp_path), epochs=3))
    watch.restart()
    assert bits(learn(at_once(tmp_path), epochs=3)) == expected
    assert watch.calls == 1


def test_fewer_rows_than_columns_go_on_too(watch, tmp_path):
    expected = bits(learn(None, width=90))
    steps = watch.calls
    for number in range(1, steps, 3):
        watch.restart(most=number)
        with pytest.raises(Interrupted):
            learn(at_once(tmp_path), width=90)
        watch.restart()
        assert bits(learn(at_once(tmp_path), width=90)) == expected
        at_once(tmp_path).clear()


# The node, which kills itself when it has placed vectors so many times.
KILLED = """
import os, signal, sys
from functools import partial
from carbrand.training.checkpoint import Checkpoints
from carbrand.vectors.standardizer import Standardizer
from stages import train

left, place = int(sys.argv.pop(1)), Standardizer.transform

def watched(self, vectors):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return place(self, vectors)

Standardizer.transform = watched
train.Checkpoints = partial(Checkpoints, after_s=0, every_s=0, rest=0)
train.start(train.main)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal on Windows")
def test_a_node_that_is_killed_goes_on_and_writes_the_same_files(finished):
    paths = ["params.yaml", "artifacts/features", "Datasets/corrections.csv", ".training"]

    def start(most: int, out: str):
        return run([sys.executable, "-c", KILLED, str(most), *paths, out], finished)

    whole = start(-1, "whole")
    assert whole.returncode == 0, whole.stderr
    assert whole.stderr == ""
    killed = start(4, "out")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list((finished / ".training").iterdir())) == 1
    again = start(-1, "out")
    assert again.returncode == 0, again.stderr
    assert again.stderr == "note: training resumes at epoch 4 of 5.\n"
    assert not (finished / ".training").exists()
    files = sorted(path.name for path in (finished / "whole").iterdir())
    assert files == sorted(path.name for path in (finished / "out").iterdir())
    for name in files:
        assert (finished / "out" / name).read_bytes() == (finished / "whole" / name).read_bytes()


# --- what is used ---


def ask_all(checkpoint: Checkpoint, length: int = 5) -> tuple[list[list[float]], int]:
    """A chain of questions, each made of the answer before; and how many had to be computed."""
    computed = 0

    def compute() -> np.ndarray:
        nonlocal computed
        computed += 1
        return np.append(np.cos(question), question.sum())[: 3 + computed % 2]

    question, answers = np.arange(3.0), []
    for _ in range(length):
        question = checkpoint.load_or_compute(question, compute)
        answers.append(question.tolist())
    return answers, computed


def called(name: str) -> Callable[[], str]:
    return lambda: hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def chain() -> list[list[float]]:
    return ask_all(Checkpoint(None, called("a")))[0]


def keep_chain(folder: Path) -> Path:
    ask_all(Checkpoint(at_once(folder), called("a")))
    (file,) = folder.iterdir()
    return file


def test_a_file_torn_at_any_length_gives_what_is_whole_of_it(tmp_path):
    file = keep_chain(tmp_path)
    content = file.read_bytes()
    ends, at = [], 0
    while found := checkpoint_file.read(file, at):
        at = found[2]
        ends.append(at)
    assert len(ends) == 5
    assert ends[-1] == len(content)
    for length in range(len(content) + 1):
        file.write_bytes(content[:length])
        whole = sum(end <= length for end in ends)
        checkpoint = Checkpoint(at_once(tmp_path), called("a"))
        recalled = 0

        def ask() -> np.ndarray:
            raise Interrupted

        question = np.arange(3.0)
        try:
            while True:
                question = checkpoint.load_or_compute(question, ask)
                recalled += 1
        except Interrupted:
            assert recalled == whole


def test_a_file_torn_or_changed_anywhere_changes_no_answer_and_is_mended(tmp_path):
    file = keep_chain(tmp_path)
    content = file.read_bytes()
    expected = ask_all(Checkpoint(at_once(tmp_path), called("a")))[0]
    for place in range(0, len(content), 3):
        changed = content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        for damaged in (content[:place], changed, content[:place] + bytes(len(content) - place)):
            file.write_bytes(damaged)
            answers, computed = _ask_known(Checkpoint(at_once(tmp_path), called("a")), expected)
            assert answers == expected
            assert computed > 0
            assert _ask_known(Checkpoint(at_once(tmp_path), called("a")), expected)[1] == 0


def _ask_known(checkpoint: Checkpoint, expected: list[list[float]]) -> tuple[list, int]:
    """The chain again; what must be computed is taken from where it is known."""
    question, answers, computed = np.arange(3.0), [], 0
    for known in expected:

        def compute(known: list[float] = known) -> np.ndarray:
            nonlocal computed
            computed += 1
            return np.array(known)

        question = checkpoint.load_or_compute(question, compute)
        answers.append(question.tolist())
    return answers, computed


def test_a_size_beyond_the_file_takes_no_memory(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(64) + (1 << 62).to_bytes(8, "little") + bytes(100))
    assert checkpoint_file.read(file, 0) is None


def test_an_answer_to_another_question_is_not_used(tmp_path):
    keep_chain(tmp_path)
    checkpoint = Checkpoint(at_once(tmp_path), called("a"))
    one = checkpoint.load_or_compute(np.arange(3.0), lambda: np.zeros(1))
    assert one.tolist() != [0.0]
    nearly = np.nextafter(one, 9)
    assert checkpoint.load_or_compute(nearly, lambda: np.zeros(1)).tolist() == [0.0]
    # Nor is what follows it.
    assert checkpoint.load_or_compute(one, lambda: np.ones(1)).tolist() == [1.0]


def test_another_training_uses_nothing_and_drops_what_is_there(tmp_path):
    keep_chain(tmp_path)
    (tmp_path / f"{called('c')()}.checkpoint").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("of a person")
    _, computed = ask_all(Checkpoint(at_once(tmp_path), called("b")))
    assert computed == 5
    assert {path.name for path in tmp_path.iterdir()} == {
        "notes.txt",
        f"{called('b')()}.checkpoint",
    }


def test_stopped_training_is_none_of_another_l2(watch, tmp_path):
    expected = bits(learn(None, l2=0.02, epochs=3))
    watch.restart(most=5)
    with pytest.raises(Interrupted):
        learn(at_once(tmp_path), epochs=3)
    (before,) = tmp_path.iterdir()
    watch.restart()
    assert bits(learn(at_once(tmp_path), l2=0.02, epochs=3)) == expected
    assert not before.exists()


def a_problem() -> Problem:
    labels = np.arange(6) % 3
    vectors = np.random.default_rng(0).random((6, 2, 4), np.float32)
    sees = np.concatenate([labels[:, None] != np.arange(3), np.ones((6, 1), bool)], axis=1)
    space = Standardizer.fit(vectors, [4])
    return Problem(vectors, space, labels, sees, np.ones(6, np.float32), 3, 9, 0.1, 0.1)


def other(array: np.ndarray) -> np.ndarray:
    """In the last bit of its last number."""
    content = bytearray(array.tobytes())
    content[-array.itemsize] ^= 1
    return np.frombuffer(bytes(content), array.dtype).reshape(array.shape)


@pytest.mark.parametrize("name", ["vectors", "labels", "in_training", "photo_weights"])
def test_the_last_bit_of_any_data_makes_another_training(name):
    problem = a_problem()
    change: dict[str, Any] = {name: other(getattr(problem, name))}
    changed = dataclasses.replace(problem, **change)
    assert hash_training(changed) != hash_training(problem) == hash_training(a_problem())


def test_the_same_numbers_in_another_shape_make_another_training():
    problem = a_problem()
    reshaped = dataclasses.replace(problem, vectors=problem.vectors.reshape(6, 4, 2))
    assert hash_training(reshaped) != hash_training(problem)


def test_every_parameter_of_training_is_a_part_of_its_name(tmp_path):
    changes: list[dict[str, Any]] = [{"epochs": 1}]
    for field in dataclasses.fields(HeadParams):
        value = getattr(PARAMS, field.name)
        changes.append({"epochs": 1, field.name: value + 1})
    names = set()
    for number, change in enumerate(changes):
        place = at_once(tmp_path / f"{number}")
        learn(place, **change)
        names |= {file.name for file in place.files()}
    assert len(names) == len(changes)


def test_another_version_code_or_processor_makes_another_training(monkeypatch):
    problem = a_problem()
    names = [hash_training(problem)]
    for fact in ("code", "numpy", "python"):
        with monkeypatch.context() as patch:
            patch.setitem(checkpoint_key._SOFTWARE, fact, "another")
            names.append(hash_training(problem))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_key, "_describe_processor", lambda: ["another one"])
        names.append(hash_training(problem))
    monkeypatch.setenv("OPENBLAS_CORETYPE", "another")
    names.append(hash_training(problem))
    assert len(set(names)) == len(names)


def test_code_that_is_edited_while_it_runs_is_not_what_runs(tmp_path):
    """The name is asked for late, at the first write."""
    package = tmp_path / "carbrand"
    shutil.copytree(ROOT / "carbrand", package, ignore=shutil.ignore_patterns("__pycache__"))
    ask = (
        "from tests.promises.test_checkpoint import a_problem\n"
        "from carbrand.training.checkpoint_key import hash_training, __file__ as file\n"
        "from pathlib import Path\n"
        "print(file)\n"
        "Path(file).with_name('lbfgs.py').open('a').write('# edited')\n"
        "print(hash_training(a_problem()))\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    (file, first), (_, then) = (
        run([sys.executable, "-c", ask], tmp_path, {"PYTHONPATH": path}).stdout.split()
        for _ in range(2)
    )
    assert Path(file).parent == package / "training"
    assert first == hash_training(a_problem())
    assert then != first


def test_all_code_that_trains_is_a_part_of_the_name():
    used = {Path(path).parts[1] for path in local_imports(ROOT / "carbrand/training/head.py")}
    # How files are written, errors are worded and processes end changes no step.
    assert set(checkpoint_key.CODE) == used - {"node"}


# --- when it is written ---


def never() -> str:
    raise AssertionError("the vectors were read for nothing")


def test_short_training_writes_nothing_and_reads_no_data_for_it(tmp_path, chain):
    folder = tmp_path / "training"
    checkpoint = Checkpoint(Checkpoints(folder), never)
    assert ask_all(checkpoint)[0] == chain
    learn(Checkpoints(folder))
    assert not folder.exists()


def test_the_pipeline_of_a_few_photos_leaves_no_folder(finished):
    assert not (finished / ".training").exists()


def test_after_a_write_it_waits_for_the_next(tmp_path, chain):
    checkpoint = Checkpoint(at_once(tmp_path, every_s=3600), called("a"))
    assert ask_all(checkpoint)[0] == chain
    (file,) = tmp_path.iterdir()
    size = file.stat().st_size
    assert ask_all(Checkpoint(at_once(tmp_path), called("a")))[1] == 4
    assert file.stat().st_size > size


def test_two_trainings_of_one_name_share_a_file(tmp_path, chain):
    one, other = (Checkpoint(at_once(tmp_path), called("a")) for _ in range(2))
    assert ask_all(one, 3)[0] == chain[:3]
    assert ask_all(other)[0] == chain
    question = np.array(chain[2])
    for expected in chain[3:]:
        question = one.load_or_compute(question, lambda: np.array(expected))  # noqa: B023
    assert ask_all(Checkpoint(at_once(tmp_path), called("a"))) == (chain, 0)


# --- where nothing can be written ---


def test_a_folder_that_cannot_be_made_costs_one_line(tmp_path, chain, capsys):
    (tmp_path / "file").write_text("")
    checkpoint = Checkpoint(at_once(tmp_path / "file"), called("a"))
    assert ask_all(checkpoint)[0] == chain
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"note: {tmp_path / 'file'} keeps no further checkpoints: ")


def test_a_folder_that_is_deleted_while_it_is_used_costs_one_line(tmp_path, chain, capsys):
    place = at_once(tmp_path / "training")
    checkpoint = Checkpoint(place, called("a"))
    assert ask_all(checkpoint, 2)[0] == chain[:2]
    place.clear()
    question = np.array(chain[1])
    for expected in chain[2:]:
        question = checkpoint.load_or_compute(question, lambda: np.array(expected))  # noqa: B023
    assert capsys.readouterr().err.count("\n") == 1
    assert place.files() == []
    assert ask_all(Checkpoint(place, called("a")))[0] == chain


def test_more_bytes_than_it_may_take_are_not_written(watch, tmp_path, capsys):
    expected = bits(learn(None, epochs=4))
    place = at_once(tmp_path, max_bytes=2000)
    watch.restart(most=8)
    with pytest.raises(Interrupted):
        learn(place, epochs=4)
    said = capsys.readouterr().err
    assert (
        said == f"note: {tmp_path} keeps no further checkpoints: it would be more than 2e-06 GB.\n"
    )
    assert sum(file.stat().st_size for file in place.files()) <= 2000
    watch.restart()
    assert bits(learn(place, epochs=4)) == expected


LIMITED = """
import resource, sys
from pathlib import Path
from tests.promises.test_checkpoint import at_once, bits, learn
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
print(bits(learn(at_once(Path(sys.argv[1])), epochs=3)))
"""


@pytest.mark.parametrize("limit", [0, 10, 3000])
def test_a_full_disk_stops_no_training_and_is_given_its_space_back(limit, tmp_path):
    """A limit on the size of files says the same, and needs no disk to fill."""
    pytest.importorskip("resource", reason="there are no such limits on Windows")
    folder = tmp_path / "training"
    command = [sys.executable, "-c", LIMITED, str(folder), str(limit)]
    result = run(command, tmp_path, {"PYTHONPATH": os.fspath(ROOT)})
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == bits(learn(None, epochs=3))
    assert result.stderr == f"note: {folder} keeps no further checkpoints: File too large.\n"
    assert list(folder.iterdir()) == []


def test_clearing_removes_only_what_is_its_own(tmp_path):
    keep_chain(tmp_path)
    (tmp_path / "notes.txt").write_text("of a person")
    at_once(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "notes.txt").unlink()
    at_once(tmp_path).clear()
    assert not tmp_path.exists()
    at_once(tmp_path).clear()
