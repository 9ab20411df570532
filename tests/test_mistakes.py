"""What a user can do wrong: one clear line, status 2, and nothing lost that was there."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import draw_photo, edit_params, run


def remove_brands(project: Path, *brands: str) -> None:
    for brand in brands:
        for split in ("train", "test"):
            shutil.rmtree(project / "Datasets" / split / brand)


def keep_one_photo(project: Path) -> None:
    for file in sorted((project / "Datasets/train/asta").iterdir())[1:]:
        file.unlink()


def empty_brand(project: Path) -> None:
    for split in ("train", "test"):
        (project / "Datasets" / split / "delta").mkdir()
    draw_photo((1, 1, 1), 0).save(project / "Datasets/test/delta/0.png")


def text_named_jpg(project: Path) -> None:
    (project / "Datasets/train/asta/text.jpg").write_text("I am no photo")
    edit_params(project, validate__unreadable="error")


def wrong_weights(project: Path) -> None:
    (project / "weights/mine.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    edit_params(project, features__weights="weights/mine.h5")


def params_typo(project: Path) -> None:
    file = project / "params.yaml"
    file.write_text(file.read_text().replace("learning_rate", "lerning_rate"))


def params_folder(project: Path) -> None:
    (project / "params.yaml").unlink()
    (project / "params.yaml").mkdir()


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no Datasets": (
        lambda p: shutil.rmtree(p / "Datasets"),
        "Datasets/train does not exist. Put photos into Datasets/train/<brand>/",
    ),
    "one brand only": (
        lambda p: remove_brands(p, "bolt", "cirro"),
        "holds 1 brand folder (asta), expected at least 2",
    ),
    "a brand with one photo": (keep_one_photo, "Datasets/train/asta holds 1 photo"),
    "an empty folder": (empty_brand, "Datasets/train/delta holds no photo"),
    "a brand missing from a split": (
        lambda p: shutil.rmtree(p / "Datasets/test/asta"),
        "Datasets/test/asta does not exist, but the brand `asta` is in Datasets/train",
    ),
    "a text named .jpg": (
        text_named_jpg,
        "Datasets/train/asta/text.jpg is not a readable photo (",
    ),
    "a typo in params.yaml": (params_typo, "Did you mean `learning_rate`?"),
    "a value out of range": (
        lambda p: edit_params(p, features__size_px=7),
        "`features.size_px` must be a whole number from 32 to 1024, got 7",
    ),
    "broken params.yaml": (
        lambda p: (p / "params.yaml").write_text("train: ["),
        "params.yaml is not valid YAML",
    ),
    "no params.yaml": (lambda p: (p / "params.yaml").unlink(), "params.yaml does not exist"),
    "params.yaml is a folder": (params_folder, "params.yaml: Is a directory"),
    "a torn dvc.lock": (
        lambda p: (p / "dvc.lock").write_text("<<<<<<< main\nschema: '2.0'\n"),
        "dvc.lock is damaged, perhaps by a merge",
    ),
    "a missing weights file": (
        lambda p: edit_params(p, features__weights="weights/none.h5"),
        "weights/none.h5",
    ),
    "a broken weights file": (wrong_weights, "weights/mine.h5"),
}


def fingerprints(project: Path) -> dict[str, str]:
    """Every artifact, with the hash of its bytes."""
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((project / "artifacts").rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_clear_line_and_costs_nothing(mistake, finished):
    make_it, said = MISTAKES[mistake]
    before, lock = fingerprints(finished), (finished / "dvc.lock").read_bytes()
    make_it(finished)
    result = run([sys.executable, "-m", "stages"], finished)
    assert result.returncode == 2, result.stdout + result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert any(said in line for line in errors), result.stderr
    assert "Traceback" not in result.stderr
    assert fingerprints(finished) == before
    if mistake not in ("a broken weights file", "a text named .jpg"):
        assert mistake == "a torn dvc.lock" or (finished / "dvc.lock").read_bytes() == lock
        assert len(errors) == len(result.stderr.splitlines())  # not a word from DVC


@pytest.mark.parametrize("node", ["validate", "features", "train", "evaluate", "plot"])
def test_a_node_on_its_own_refuses_a_typo_with_status_2(node, finished):
    file = finished / "params.yaml"
    text = file.read_text()
    start = text.index(f"{node}:\n") + len(node) + 2
    file.write_text(text[:start] + "  nonsense: 1\n" + text[start:])
    command = {
        "validate": ["Datasets/train", "Datasets/test", "out"],
        "features": ["artifacts/validate/manifest.csv", ".vectors", "out"],
        "train": ["artifacts/validate/rules.json", "artifacts/features", ".training", "out"],
        "evaluate": [
            *("artifacts/train/model.h5", "artifacts/validate", "artifacts/features", "out"),
        ],
        "plot": [
            *(f"artifacts/{name}" for name in ("validate", "features", "train", "evaluate")),
            *("Datasets", "out"),
        ],
    }[node]
    result = run([sys.executable, "-m", f"stages.{node}", "params.yaml", *command], finished)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: params.yaml: unknown key `{node}.nonsense`.")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("lost", [".dvc/cache", "dvc.lock"])
def test_nothing_is_lost_where_dvc_has_no_copy(lost, finished):
    """What is put back comes from the run itself, not from DVC's cache or its lock."""
    path = finished / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (finished / "artifacts/plot/mine.txt").write_text("a file of my own")
    before = fingerprints(finished)
    text_named_jpg(finished)
    assert run([sys.executable, "-m", "stages"], finished).returncode == 2
    assert fingerprints(finished) == before


def test_help_needs_no_good_params(finished):
    params_typo(finished)
    result = run([sys.executable, "-m", "stages", "--help"], finished)
    assert result.returncode == 0
    assert "usage: dvc repro" in result.stdout


def test_all_test_photos_leaked_is_said(finished):
    for brand in ("asta", "bolt", "cirro"):
        for file in sorted((finished / "Datasets/test" / brand).iterdir()):
            shutil.copy(finished / "Datasets/train" / brand / file.name, file)
    before = fingerprints(finished)
    result = run([sys.executable, "-m", "stages"], finished)
    assert result.returncode == 2
    assert "All 9 test photos are copies of training photos" in result.stderr
    after = fingerprints(finished)
    # validate got through, and its findings are new; what came after is as it was
    assert {name for name in before if before[name] != after[name]} <= {
        "artifacts/validate/manifest.csv",
        "artifacts/validate/folders.csv",
        "artifacts/validate/summary.json",
    }


def test_ctrl_c_leaves_everything_as_it_was(finished):
    edit_params(finished, features__size_px=448, features__views=40)
    before = fingerprints(finished)
    process = subprocess.Popen(
        [sys.executable, "-m", "stages"],
        cwd=finished,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background of a shell, Ctrl-C is switched off for all of them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    features = finished / "artifacts/features"
    deadline = time.monotonic() + 60
    while features.exists() and time.monotonic() < deadline:  # DVC deletes it when the node starts
        time.sleep(0.05)
    assert not features.exists()
    # In the middle of the node's work. While DVC itself is at work, what a Ctrl-C makes it print is
    # its own affair.
    time.sleep(3)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in stderr
    assert fingerprints(finished) == before
