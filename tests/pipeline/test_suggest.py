"""`carbrand suggest`, as a command, with a model that a run made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from carbrand.node.files.table import read_table
from tests.conftest import PAINTS, draw_photo, run


@pytest.fixture(scope="module")
def project(_finished: Path) -> Path:
    """Where the pipeline ran; nothing here changes it."""
    return _finished


def suggest(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "carbrand.cli", "suggest", *arguments], project)


def test_a_table_and_a_page_name_new_photos_and_no_copies(project, tmp_path):
    new, out = tmp_path / "new <b>", tmp_path / "out"
    new.mkdir()
    for number, paint in enumerate([*PAINTS.values()] * 3):
        draw_photo(paint, 700 + number).save(new / f"{number}.png")
    learned = next((project / "Datasets/train/asta").iterdir())
    shutil.copy(learned, new / "copy of learned.png")
    shutil.copy(new / "0.png", new / "a copy.png")
    (new / "broken.png").write_bytes(b"no photo")
    done = suggest(project, str(new), "--count", "20", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "broken.png" in done.stderr
    header, rows = read_table(out / "suggestions.csv")
    assert header == ["path", "why", "predicted", "confidence"]
    names = [Path(row["path"]).name for row in rows]
    assert "copy of learned.png" not in names
    assert len({"0.png", "a copy.png"} & set(names)) <= 1
    assert len(set(names)) == len(names)
    page = (out / "suggestions.html").read_text("utf-8")
    assert page.count("<img") == len(rows)
    assert 'src="data:image/jpeg' in page
    assert "new <b>" not in page  # escaped
    few = suggest(project, str(new), "--count", "2", "--out", str(out))
    assert few.returncode == 0, few.stderr
    unsure = [row for row in read_table(out / "suggestions.csv")[1] if row["why"] == "unsure"]
    assert len(unsure) <= 2


def test_a_folder_without_photos_is_one_line_and_exit_status_2(project, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, said in (("missing", "is not a folder"), (str(tmp_path / "empty"), "no photos")):
        done = suggest(project, folder)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert said in done.stderr
    assert suggest(project, ".", "--count", "0").returncode == 2
