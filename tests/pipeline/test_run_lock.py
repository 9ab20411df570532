"""Files of a run that contradict dvc.lock, one another or themselves are believed by nothing."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from carbrand.export.run_record import read_record
from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock, StaleFile
from carbrand.release.gate.comparison import compare_models
from carbrand.release.registry.find import FETCHED, find_model
from tests.conftest import git, relock, run
from tests.pipeline.test_gate import (
    FILES,
    METRICS,
    PARAMS,
    PREDICTIONS,
    commit,
    project,
)

MODEL = "artifacts/finetune/model.h5"
Row = dict[str, str]


assert project  # a fixture, which pytest finds by its name here


def edit_rows(project: Path, edit: Callable[[list[Row]], list[Row]]) -> None:
    """Write predictions.csv anew, as somebody would with an editor."""
    file = project / PREDICTIONS
    with file.open(newline="", encoding="utf-8") as opened:
        rows = edit(list(csv.DictReader(opened)))
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def edit_metrics(project: Path, **values: object) -> None:
    content = json.loads((project / METRICS).read_text("utf-8"))
    (project / METRICS).write_text(json.dumps(content | values), "utf-8")


def all_right(rows: list[Row]) -> list[Row]:
    return [row | {"predicted": row["actual"]} for row in rows]


def on(place: int, **cells: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [*rows[:place], rows[place] | cells, *rows[place + 1 :]]


def refused(project: Path) -> str:
    with pytest.raises(UserError) as caught:
        compare_models(project, "main", PARAMS, FILES)
    (problem,) = caught.value.problems
    assert "\n" not in problem
    return problem


# What is changed, what is said of it, and what is said where dvc.lock is made to fit.
FORGED: list[tuple[str, Callable[[Path], None], str]] = [
    (
        "predicted",
        lambda project: edit_rows(project, all_right),
        "the predicted brand is the most probable one, but Datasets/test/asta/000.jpg is predicted "
        "as asta with bolt at 0.8",
    ),
    (
        "confidence",
        lambda project: edit_rows(project, on(3, confidence="0.99")),
        "the predicted brand is the most probable one",
    ),
    (
        "a sum",
        lambda project: edit_rows(project, on(50, p_bolt="0.9", confidence="0.9")),
        "lie in 0.1…0.9 and add up to 1.1",
    ),
    (
        "a row that is right now",
        lambda project: edit_rows(
            project,
            on(0, predicted="asta", p_asta="0.800000", p_bolt="0.100000"),
        ),
        "accuracy is 0.9333 and the rows give 0.9417",
    ),
    (
        "leaked",
        lambda project: edit_rows(project, on(0, leaked="true")),
        "accuracy is 0.9333 and the rows give 0.9412",
    ),
    (
        "rows left out",
        lambda project: edit_rows(project, lambda rows: rows[1:]),
        "accuracy is 0.9333 and the rows give 0.9412",
    ),
    (
        "accuracy",
        lambda project: edit_metrics(project, accuracy=1.0),
        "accuracy is 1.0 and the rows give 0.9333",
    ),
    (
        "a digit",
        lambda project: edit_metrics(project, log_loss=0.3619),
        "log_loss is 0.3619 and the rows give 0.3618",
    ),
    (
        "a brand",
        lambda project: edit_metrics(
            project,
            brand={"asta": {"precision": 1, "recall": 1, "f1": 1, "support": 40}},
        ),
        "brand.asta.recall is 1 and the rows give 0.8",
    ),
    (
        "as given",
        lambda project: edit_metrics(project, as_given={"accuracy": 1.0, "images": 120}),
        "as_given.accuracy is 1.0",
    ),
]


@pytest.mark.parametrize(
    ("forge", "said"), [case[1:] for case in FORGED], ids=[c[0] for c in FORGED]
)
@pytest.mark.parametrize("side", ["here", "in main ("])
@pytest.mark.parametrize("lock", ["as it was", "made to fit"])
def test_forged_results_are_refused_on_either_side(project, forge, said, side, lock):
    before = {path: (project / path).read_bytes() for path in FILES.all()}
    forge(project)
    if lock == "made to fit":
        relock(project, PREDICTIONS.as_posix(), METRICS.as_posix())
    else:
        said = "(the run wrote another one: its MD5 is"
    if side != "here":
        commit(project)
        for path, content in before.items():
            (project / path).write_bytes(content)
    problem = refused(project)
    assert re.match(rf"artifacts/evaluate/\w+\.\w+ {re.escape(side)}", problem)
    assert said in problem
    mend = "Run `make repro`." if side == "here" else "Give --against a commit in which"
    assert mend in problem


@pytest.mark.parametrize("path", [PREDICTIONS, METRICS, FILES.history])
@pytest.mark.parametrize("trouble", ["no entry", "no file", "no lock", "a torn lock"])
def test_a_file_counts_only_where_dvc_lock_names_it_and_it_is_there(project, path, trouble):
    lock = project / FILES.lock
    if trouble == "no entry":
        content = json.loads(lock.read_text("utf-8"))
        node = content["stages"]["evaluate"]
        node["outs"] = [out for out in node["outs"] if out["path"] != path.as_posix()]
        lock.write_text(json.dumps(content), "utf-8")
        said = f"{path.as_posix()} here cannot be used (dvc.lock does not name it)"
    elif trouble == "no file":
        (project / path).unlink()
        said = f"{path.as_posix()} "
    else:
        lock.unlink() if trouble == "no lock" else lock.write_text("stages: [", "utf-8")
        said = "predictions.csv here cannot be used (no dvc.lock names it)"
    problem = refused(project)
    assert said in problem
    assert problem.endswith("Run `make repro`.")


def lock_of(**entry: str) -> DvcLock:
    out = {"path": "a.csv", "md5": "b3f93ed7f1f5a3a8e0c9b6e1b6dd9ff0", "size": 4} | entry
    return DvcLock.parse(
        json.dumps({"schema": "2.0", "stages": {"n": {"cmd": "x", "outs": [out]}}}).encode()
    )


def test_line_ends_count_but_for_texts_that_dvc_2_hashed(tmp_path):
    (tmp_path / "unix").write_bytes(b"a\nb\n")
    (tmp_path / "windows").write_bytes(b"a\r\nb\r\n")
    unix = "dd8c6a395b5dd36c56d23275028f526c"
    old, new = lock_of(md5=unix), lock_of(md5=unix, hash="md5")
    for lock in (old, new):
        lock.check("a.csv", tmp_path / "unix")
    old.check("a.csv", tmp_path / "windows")
    with pytest.raises(StaleFile):
        new.check("a.csv", tmp_path / "windows")


# After a real run.


@pytest.fixture
def ran(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    return finished


def test_a_first_model_whose_results_were_forged_is_not_promoted(ran: Path):
    edit_rows(ran, lambda rows: [rows[0] | {"predicted": "bolt"}, *rows[1:]])
    relock(ran, PREDICTIONS.as_posix())
    git(ran, "commit", "-qam", "forged")
    done = run([sys.executable, "-m", "carbrand.cli", "promote"], ran)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert "the predicted brand is the most probable one" in line
    assert git(ran, "tag") == ""


def test_a_damaged_model_in_the_cache_is_not_handed_out(ran: Path):
    wanted = (ran / MODEL).read_bytes()
    found = find_model("HEAD", ran, MODEL)
    (ran / MODEL).unlink()
    found.write_bytes(b"not the model")  # a copy that was handed out before
    assert find_model("HEAD", ran, MODEL).read_bytes() == wanted
    (cached,) = (
        path
        for path in (ran / ".dvc/cache").rglob("*")
        if path.is_file() and path.read_bytes() == wanted
    )
    cached.unlink()
    cached.write_bytes(wanted[:-1] + b"!")
    shutil.rmtree(ran / FETCHED)
    with pytest.raises(UserError, match=r"The model of HEAD .* is damaged .*MD5") as told:
        find_model("HEAD", ran, MODEL)
    assert f"Delete {cached}, then run `dvc pull`" in str(told.value)
    assert list((ran / FETCHED).iterdir()) == []
    cached.unlink()
    with pytest.raises(UserError, match="could not be fetched"):
        find_model("HEAD", ran, MODEL)


def test_a_revision_whose_lock_names_no_model_has_none(ran: Path):
    lock = ran / "dvc.lock"
    lock.write_text(lock.read_text("utf-8").replace(f"path: {MODEL}", "path: other.h5"), "utf-8")
    git(ran, "add", "-f", MODEL)
    git(ran, "commit", "-qam", "a model that no run made")
    with pytest.raises(UserError, match=rf"dvc\.lock of HEAD .* has no {MODEL}"):
        find_model("HEAD", ran, MODEL)


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("evaluate/metrics.json", lambda text: text.replace("1.0", "0.5", 1)),
        ("evaluate/predictions.csv", lambda text: text.replace(",asta,0", ",bolt,0", 1)),
        ("validate/manifest.csv", lambda text: text.replace("kept", "excluded", 1)),
        ("train/summary.json", lambda text: text.replace("3", "4", 1)),
        ("features/copies.csv", lambda text: text + "a,b,duplicate,1,false\n"),
    ],
)
def test_a_model_card_says_nothing_that_dvc_lock_does_not_vouch_for(ran: Path, file: str, edit):
    path = ran / "artifacts" / file
    text = path.read_text("utf-8")
    path.unlink()  # of DVC's cache it may be a link
    path.write_text(edit(text), "utf-8")
    assert path.read_text("utf-8") != text
    with pytest.raises(UserError, match=rf"{path} is damaged .*MD5.* Run `dvc repro`"):
        read_record(ran / MODEL)
    relock(ran, f"artifacts/{file}")
    if file.startswith("evaluate"):
        with pytest.raises(UserError, match=r"follow from the rows|is the most probable one"):
            read_record(ran / MODEL)
