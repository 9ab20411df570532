"""`carbrand import`, stopped while it copies: the next one completes it as if nothing had been."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PAINTS, ROOT, draw_photo, own_environment, run
from tests.support.running import LIMITED, in_torture

IMPORT = ["carbrand.cli", "import", "../photos"]


def draw_photos(folder: Path, count: int) -> None:
    for label, (brand, paint) in enumerate(PAINTS.items()):
        (folder / "photos" / brand).mkdir(parents=True)
        for number in range(count):
            draw_photo(paint, 1000 * label + number).save(folder / f"photos/{brand}/{number}.png")


def make_project(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


def imported(project: Path) -> dict[Path, bytes]:
    """All that is in Datasets, hidden files too."""
    found = (path for path in sorted((project / "Datasets").rglob("*")) if path.is_file())
    return {path.relative_to(project): path.read_bytes() for path in found}


def complete(project: Path, *options: str) -> dict[Path, bytes]:
    result = run([sys.executable, "-m", *IMPORT, *options], project)
    assert result.returncode == 0, result.stderr
    return imported(project)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param(signal.SIGKILL, -9, marks=in_torture),
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=in_torture),
    ],
)
def test_stopped_while_it_copies_the_next_import_completes_it(tmp_path, number, status):
    draw_photos(tmp_path, 30)
    whole = complete(make_project(tmp_path / "whole"))
    assert len(whole) == 90 + 1
    project = make_project(tmp_path / "stopped")
    process = subprocess.Popen(
        [sys.executable, "-m", *IMPORT],
        cwd=project,
        env=own_environment() | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and len(list(project.glob("Datasets/*/*/*.png"))) < 5:
        time.sleep(0.001)
    process.send_signal(number)
    _, said = process.communicate()
    assert (process.returncode, said) == (status, "stopped\n" * (status > 0))
    left = imported(project)
    assert 6 <= len(left) < 91
    assert number == signal.SIGKILL or left.items() <= whole.items()
    assert complete(project, "--seed", "9") == whole


def test_a_full_disk_is_told_in_a_line_and_the_next_import_completes_it(tmp_path):
    pytest.importorskip("resource", reason="there are no such limits on Windows")
    draw_photos(tmp_path, 3)
    whole = complete(make_project(tmp_path / "whole"))
    project = make_project(tmp_path / "full")
    result = run(
        [sys.executable, "-c", LIMITED, "3000", *IMPORT], project, {"PYTHONPATH": str(ROOT)}
    )
    (line,) = result.stderr.splitlines()
    assert (result.returncode, line[:16]) == (2, "error: Datasets/")
    assert ".png: " in line
    assert [path.name for path in imported(project)] == ["imported.csv"]
    assert complete(project) == whole
