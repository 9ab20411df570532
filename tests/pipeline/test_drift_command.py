"""`carbrand serve --log` and `carbrand drift`, as commands, with a model that a run made."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import PAINTS, draw_photo, run
from tests.support.serving import PATIENCE_S, as_bytes, serving, start


@pytest.fixture(scope="module")
def project(_finished: Path) -> Path:
    """Where the pipeline ran; nothing here changes it."""
    return _finished


def drift(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "carbrand.cli", "drift", *arguments], project)


def another(number: int) -> Image.Image:
    """A photo like those of the test folder, but another."""
    return draw_photo(list(PAINTS.values())[number % len(PAINTS)], 500 + number)


@pytest.fixture(scope="module")
def log(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a server that was asked about 12 photos, one of them twice, and killed."""
    folder = tmp_path_factory.mktemp("service") / "log"
    with serving(project, "--log", str(folder)) as server:
        for number in [*range(12), 0]:
            server.predict(as_bytes(another(number)))
        assert server.ask(b"no photo")[0] == 415
        server.end(signal.SIGKILL)
    return folder


def test_the_log_of_a_killed_server_is_compared_and_the_look_counted(project, log):
    done = drift(project, str(log), "--json")
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert (report["photos"], report["look"]) == (12, 1)
    assert report["drift"] is (done.returncode == 1)
    names = [measure["name"] for measure in report["measures"]]
    assert names == ["vectors", "size", "shape", "brightness", "sharpness"]
    assert json.loads(drift(project, str(log), "--json").stdout) == report  # no other look


def test_the_log_holds_what_the_page_said_and_no_photo(log):
    lines = [json.loads(line) for path in log.glob("*.jsonl") for line in path.open()]
    assert len(lines) == 13
    assert lines[0] | {"time": ""} == lines[-1] | {"time": ""}  # the same photo
    assert set(lines[0]) == {
        *("model", "time", "width", "height", "brightness", "sharpness", "predicted"),
        *("confidence", "unknown_score", "vector"),
    }
    assert all(len(line["vector"]) < 20_000 for line in lines)


def test_dark_photos_are_drift_and_are_named(project, tmp_path):
    for number in range(40):
        another(number).point(lambda level: level // 8).save(tmp_path / f"dark{number}.png")
    seen = drift(project, str(tmp_path))
    assert seen.returncode == 1, seen.stderr
    assert "brightness: darker" in seen.stdout
    assert "look at " in seen.stdout
    assert "Drift: 40" in seen.stdout
    assert not (tmp_path / "looks.csv").exists()


def test_what_cannot_be_compared_is_one_line_and_exit_status_2(project, log, tmp_path):
    alone, of_another = tmp_path / "alone" / "photo.png", tmp_path / "other"
    alone.parent.mkdir()
    draw_photo((200, 30, 30), 1).save(alone)
    of_another.mkdir()
    for path in log.glob("*.jsonl"):
        text = path.read_text().replace('{"model":"', '{"model":"0')
        (of_another / path.name).write_text(text)
    for folder, said in (
        ("missing", "is not a folder"),
        (str(alone), "is not a folder"),
        (str(alone.parent), "expected at least 10"),
        (str(of_another), "--model"),
    ):
        done = drift(project, folder)
        assert done.returncode == 2, done.stdout
        assert done.stderr.count("\n") == 1
        assert said in done.stderr


def test_a_log_that_cannot_be_written_is_said_before_anything_is_served(project, tmp_path):
    (tmp_path / "file").write_text("")
    process = start(project, "--port", "0", "--log", str(tmp_path / "file"))
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert said.count("\n") == 1
    assert "--log" in said
