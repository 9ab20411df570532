"""What a user can do wrong: one clear line, status 2, and nothing lost that was there."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.config import Config

from carbrand.node.errors import UserError
from carbrand.pipeline import repro
from carbrand.pipeline.dvc_files import read_outputs
from carbrand.pipeline.dvc_settings import set_no_scm
from carbrand.pipeline.locks import TEMPORARY, alone
from stages.__main__ import RAN_BEFORE
from tests.conftest import ROOT, draw_photo, edit_params, run


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


def other_weights(project: Path, weights: str) -> None:
    edit_params(project, features__backbone="efficientnet_lite0", features__weights=weights)


def wrong_weights(project: Path) -> None:
    (project / "weights/mine.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    other_weights(project, "weights/mine.h5")


def params_typo(project: Path) -> None:
    file = project / "params.yaml"
    file.write_text(file.read_text().replace("label_smoothing", "lable_smoothing"))


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
    "a brand with one photo": (keep_one_photo, "Datasets/train/asta holds 1 usable photo"),
    "an empty folder": (empty_brand, "Datasets/train/delta holds no usable photo"),
    "a brand missing from a split": (
        lambda p: shutil.rmtree(p / "Datasets/test/asta"),
        "Datasets/test/asta does not exist, but the brand `asta` is in Datasets/train",
    ),
    "a text named .jpg": (
        text_named_jpg,
        "Datasets/train/asta/text.jpg is not a readable photo (",
    ),
    "a typo in params.yaml": (params_typo, "Did you mean `label_smoothing`?"),
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
        lambda p: other_weights(p, "weights/none.h5"),
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
    assert "test accuracy" not in result.stdout
    assert fingerprints(finished) == before
    if mistake not in ("a broken weights file", "a text named .jpg"):
        assert mistake == "a torn dvc.lock" or (finished / "dvc.lock").read_bytes() == lock
        assert len(errors) == len(result.stderr.splitlines())  # not a word from DVC


@pytest.mark.parametrize("node", ["validate", "features", "train", "finetune", "evaluate", "plot"])
def test_a_node_on_its_own_refuses_a_typo_with_status_2(node, finished):
    file = finished / "params.yaml"
    text = file.read_text()
    start = text.index(f"{node}:\n") + len(node) + 2
    file.write_text(text[:start] + "  nonsense: 1\n" + text[start:])
    command = {
        "validate": [
            *("Datasets/train", "Datasets/test", "Datasets/groups.csv"),
            *("Datasets/corrections.csv", "out"),
        ],
        "features": ["artifacts/validate/manifest.csv", ".vectors", "out"],
        "train": ["artifacts/features", "Datasets/corrections.csv", ".training", "out"],
        "finetune": ["artifacts/train", ".finetuning", "out"],
        "evaluate": [
            *("artifacts/finetune/model.h5", "artifacts/validate", "artifacts/features", "out"),
        ],
        "plot": [
            *(f"artifacts/{earlier}" for earlier in RAN_BEFORE),
            *("Datasets", "out"),
        ],
    }[node]
    result = run([sys.executable, "-m", f"stages.{node}", "params.yaml", *command], finished)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: params.yaml: unknown key `{node}.nonsense`.")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("lost", [".dvc/cache", "dvc.lock"])
def test_nothing_is_lost_where_dvc_has_no_copy(lost, toy):
    """What is put back comes from the run itself, not from DVC's cache or its lock."""
    path = toy / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (toy / "artifacts/show/mine.txt").write_text("a file of my own")
    before = fingerprints(toy)
    (toy / "Datasets/train/asta/empty.png").touch()
    result = run([sys.executable, "-m", "stages"], toy)
    assert result.returncode == 2
    assert "error: Datasets/train/asta/empty.png is empty." in result.stderr
    assert fingerprints(toy) == before


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
    # validate and features got through, and what they found of the test photos is new
    assert {name for name in before if before[name] != after[name]} <= {
        "artifacts/validate/manifest.csv",
        "artifacts/validate/folders.csv",
        "artifacts/validate/summary.json",
        "artifacts/features/test_vectors.npy",
        "artifacts/features/test_photos.csv",
    }


# What is wrong with files that DVC reads.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "dvc.yaml does not exist. Run this from the project's folder."),
        ("stages: [", "dvc.yaml is not valid YAML (line 1)."),
        ("stages:\n   x: 1\n  y: 2\n", "dvc.yaml is not valid YAML (line 3)."),
        (b"stages: \xff", "dvc.yaml is not encoded in UTF-8, which DVC needs."),
        ("", "dvc.yaml has no nodes under `stages`."),
        ("plots: []", "dvc.yaml has no nodes under `stages`."),
        ("stages:\n  train:\n", "dvc.yaml: DVC could not run the node `train`."),
        ("stages: {train: {outs: a.h5}}", "dvc.yaml: DVC could not run the node `train`."),
        ("stages: {train: {outs: [[]]}}", "dvc.yaml: DVC could not run the node `train`."),
        ("stages: {train: {metrics: [a: 1]}}", "dvc.yaml: DVC could not run the node `train`."),
    ],
)
def test_a_damaged_pipeline_is_a_line(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("dvc.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        read_outputs()
    (line,) = caught.value.problems
    assert line.startswith(said)
    assert text is None or "`git checkout HEAD -- dvc.yaml`" in line


CONFIG = """# no_scm = true
[Core]
    # no_scm = true, some say
    remote = mine
['remote "mine"']
    url = /data/é    # ours
"""


def read_config(folder: Path) -> dict:
    """What DVC reads in it, but for what is empty."""
    content = Config.load_file(str(folder / ".dvc/config.local"))
    return {section: options for section, options in content.items() if options}


def test_dvc_is_told_of_a_folder_without_git_whatever_its_configuration_says(tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".dvc/config.local"
    set_no_scm()
    assert read_config(tmp_path) == {"core": {"no_scm": "true"}}
    file.write_text(CONFIG, "utf-8")
    before = read_config(tmp_path)
    for _ in range(2):
        set_no_scm()
        assert read_config(tmp_path)["core"] == {"remote": "mine", "no_scm": "true"}
        assert read_config(tmp_path)["remote"] == before["remote"]
    (tmp_path / ".git").mkdir()
    for _ in range(2):
        set_no_scm()
        assert file.read_text("utf-8") == CONFIG


@pytest.mark.parametrize("text", [b"[core]\n[core]\n", b"<<<<<<< ours\n", b"[core]\na = \xff\n"])
def test_a_configuration_that_dvc_cannot_read_is_a_line(text, tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config.local").write_bytes(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"config\.local: DVC cannot read it \(.+\)\. Mend or delete"
    ):
        set_no_scm()


# What is put back, whatever comes between.

PIPELINE = """
stages:
  first: {cmd: "true", outs: [a/folder, b/model.h5]}
  second: {cmd: "true", outs: [c/model.h5]}
"""


def small_project(folder: Path) -> Path:
    """Outputs of two nodes, of which no dvc.lock says anything."""
    (folder / "dvc.yaml").write_text(PIPELINE)
    for name in ("a/folder/x", "b/model.h5", "c/model.h5", ".dvc/tmp/btime"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    return folder


DISTURBED = """
import os, shutil, signal
from pathlib import Path
from carbrand.node.processes import Stopped, raise_on_signals
from carbrand.pipeline import repro, rollback

def fail(command):
    shutil.rmtree("a"), shutil.rmtree("b"), shutil.rmtree("c")
    return 1

def disturb(lock):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)

repro.run_dvc, rollback.restore_lock = fail, disturb
raise_on_signals()
print(repro.repro([]), *sorted(map(str, Path(".dvc/tmp").iterdir())))
try:
    os.kill(os.getpid(), signal.SIGTERM)
except Stopped as stopped:
    print(stopped.exit_status)
"""


def test_told_to_stop_while_it_puts_back_it_does_that_first(tmp_path):
    project = small_project(tmp_path)
    result = run([sys.executable, "-c", DISTURBED], project, {"PYTHONPATH": str(ROOT)})
    assert (result.stdout, result.stderr) == ("2 .dvc/tmp/btime\n143\n", "")
    for name in ("a/folder/x", "b/model.h5", "c/model.h5"):
        assert (project / name).read_text() == name


def test_what_cannot_be_put_back_is_kept_for_good_and_the_rest_is_back(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(small_project(tmp_path))
    # It fails, and leaves a file where the folder of an output must be.
    fails = "import shutil, sys; [shutil.rmtree(x) for x in 'abc']; open('b', 'w'); sys.exit(1)"
    monkeypatch.setattr(repro, "OWN_DVC", (sys.executable, "-c", fails))
    assert repro.repro([]) == 2
    for name in ("a/folder/x", "c/model.h5"):
        assert Path(name).read_text() == name
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: Not everything could be put back (")
    assert "b/model.h5" in line
    with alone(TEMPORARY):  # the next run
        pass
    (place,) = Path(".dvc/tmp").glob("rescued-*")
    assert f"is in {place}: " in line
    assert (place / "b/model.h5").read_text() == "b/model.h5"
    assert not list(Path(".dvc/tmp").glob("kept-*"))
