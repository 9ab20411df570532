"""`carbrand predict` with many photos: a table that survives a kill, folders by brand, lists."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carbrand.cli import main
from carbrand.commands.many_photos import predictions_table
from carbrand.commands.many_photos.brand_folders import name_unknown, sort_photos
from carbrand.node.errors import UserError
from carbrand.node.files.table import read_table
from carbrand.pipeline.locks import held_within
from tests.conftest import PAINTS, ROOT, draw_photo, own_environment, run
from tests.support.running import LIMITED

# A line break and a comma, a formula to spreadsheets, a lone carriage return, no UTF-8.
NAMES = ("a\n,b.png", "=x.png", "c\r.png", "d\udcff.png")

EVERY = 10**9


@pytest.fixture
def model(_finished) -> str:
    return str(_finished / "artifacts/finetune/model.h5")


@pytest.fixture
def predict(model, tmp_path, monkeypatch, capsys):
    """`predict(*arguments)` in an empty folder: status, stdout, lines of stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, list[str]]:
        status = main(["predict", *arguments, "--model", model])
        said = capsys.readouterr()
        return status, said.out.replace("\N{NO-BREAK SPACE}", " "), said.err.splitlines()

    return call


def draw(*names: str) -> None:
    for seed, name in enumerate(names):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_photo(list(PAINTS.values())[seed % 3], seed).save(path, "PNG")


def rows(path: str) -> list[dict[str, str]]:
    return read_table(Path(path))[1]


@pytest.fixture
def stop_after(monkeypatch):
    """`stop_after(n)`: from now on, Ctrl-C comes when n rows are written."""
    add = predictions_table.PredictionsTable.add

    def stop(count: int) -> None:
        def add_or_stop(table, path, outcome):
            if table.done == count:
                raise KeyboardInterrupt
            add(table, path, outcome)

        monkeypatch.setattr(predictions_table.PredictionsTable, "add", add_or_stop)

    return stop


# --- the table ---


def test_a_table_has_the_digits_of_json_and_why_a_photo_cannot_be_read(predict):
    draw("photos/a.png", "photos/c.png")
    Path("photos/b.jpg").write_text("no photo")
    status, said, errors = predict("photos", "--csv", "out.csv")
    assert status == 2
    assert said.startswith("2 photos predicted (")
    assert errors[0].replace("\N{NO-BREAK SPACE}", " ") == (
        "error: 1 photo could not be read; the column `error` of out.csv says why."
    )
    first, bad, last = rows("out.csv")
    assert bad["path"] == "photos/b.jpg"
    assert bad["error"].startswith("none of JPEG")
    assert set(bad.values()) == {bad["path"], bad["error"], ""}
    _, said, _ = predict("photos", "--json")
    for row, record in zip((first, last), json.loads(said), strict=True):
        assert row["path"] == record["path"]
        assert row["predicted"] == record["brand"]
        assert float(row["confidence"]) == record["confidence"]
        assert float(row["unknown_score"]) == record["unknown_score"]
        assert (row["unknown"] == "True") == record["unknown"]
        assert row["set"].split(";") == record["set"]
        assert {b: float(row[f"p_{b}"]) for b in PAINTS} == record["probabilities"]
        assert row["error"] == ""
    assert not list(Path().glob("*.part"))
    assert not list(Path().glob(".*"))


def test_any_name_comes_back_from_the_table(predict):
    draw(*(f"photos/{name}" for name in NAMES))
    assert predict("photos", "--csv", "out.csv")[0] == 0
    assert {row["path"] for row in rows("out.csv")} == {f"photos/{name}" for name in NAMES}


def test_a_table_that_is_there_is_replaced_only_by_a_whole_one(predict, stop_after):
    draw("photos/a.png", "photos/b.png")
    Path("out.csv").write_text("mine")
    stop_after(1)
    assert predict("photos", "--csv", "out.csv")[0] == 130
    assert Path("out.csv").read_text() == "mine"


@pytest.fixture
def half_done(predict, stop_after):
    """The bytes of a whole table, and the file that a run which was stopped left of it."""
    draw(*(f"photos/{name}" for name in NAMES), *(f"photos/{n}.png" for n in range(3)))
    assert predict("photos", "--csv", "whole.csv")[0] == 0
    stop_after(4)
    assert predict("photos", "--csv", "out.csv")[0] == 130
    stop_after(EVERY)
    (part,) = Path().glob("out.csv.*.part")
    whole = Path("whole.csv").read_bytes()
    assert whole.startswith(part.read_bytes())
    return whole, part


def test_wherever_the_last_row_was_cut_the_table_ends_with_the_same_bytes(predict, half_done):
    whole, part = half_done
    lines = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    cuts = [0, lines[0] - 1, lines[0], lines[2] - 1, lines[2], len(whole) - 3]
    known = 0
    for cut in cuts:
        part.write_bytes(whole[:cut])
        status, _, notes = predict("photos", "--csv", "out.csv")
        assert status == 0
        assert Path("out.csv").read_bytes() == whole, cut
        known += any("of an earlier run" in note for note in notes)
    assert known == 3
    for tail in (b"\0" * 40, b'"', b"photos/0.png,asta\n"):
        part.write_bytes(whole[: lines[2]] + tail)
        assert predict("photos", "--csv", "out.csv")[0] == 0
        assert Path("out.csv").read_bytes() == whole


def test_a_photo_that_was_changed_since_is_predicted_anew(predict, half_done):
    _, part = half_done
    photo = rows(str(part))[1]["path"]
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(photo, "PNG")
    later = time.time() + 5
    os.utime(photo, (later, later))
    _, _, (note,) = predict("photos", "--csv", "out.csv")
    assert (
        note.replace("\N{NO-BREAK SPACE}", " ") == "note: going on after 1 photo of an earlier run."
    )
    found = Path("out.csv").read_bytes()
    predict("photos", "--csv", "fresh.csv")
    assert found == Path("fresh.csv").read_bytes() != half_done[0]


def test_rows_of_another_model_are_not_taken_over(predict, half_done, monkeypatch):
    whole, part = half_done
    monkeypatch.setattr(predictions_table, "_PACKAGES", ("pytest",))
    own = Path("out.csv.mine.part")
    own.touch()
    status, _, notes = predict("photos", "--csv", "out.csv")
    assert (status, notes) == (0, [])
    assert Path("out.csv").read_bytes() == whole
    assert not part.exists()
    assert own.exists()


def test_two_commands_do_not_write_one_table(predict):
    draw("a.png")
    with held_within(Path(".out.csv.lock"), 0):
        status, _, (line,) = predict("a.png", "--csv", "out.csv")
    assert status == 2
    assert line.startswith("error: Another process is writing out.csv.")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, "a full disk"])
def test_a_process_that_ends_early_loses_no_row(model, tmp_path, how):
    draw(*(str(tmp_path / f"photos/{n:03}.png") for n in range(60)))
    words = ["carbrand.cli", "predict", "photos", "--model", model, "--csv"]
    limited = ["-c", LIMITED, "2000"] if how == "a full disk" else ["-m"]
    process = subprocess.Popen(
        [sys.executable, *limited, *words, "out.csv"],
        cwd=tmp_path,
        env=own_environment() | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None:
        parts = list(tmp_path.glob("out.csv.*.part"))
        if parts and parts[0].read_bytes().count(b"\n") > 5 and how != "a full disk":
            process.send_signal(how)
            break
        time.sleep(0.001)
    _, said = process.communicate()
    assert (process.returncode, re.sub(r"\.\w{8}\.", ".KEY.", said.rpartition("/")[2])) == {
        signal.SIGKILL: (-9, ""),
        signal.SIGTERM: (143, "stopped\n"),
        "a full disk": (2, "out.csv.KEY.part: File too large. Fix that and run it again.\n"),
    }[how]
    assert not (tmp_path / "out.csv").exists()
    again, whole = (
        run([sys.executable, "-m", *words, name], tmp_path).stderr
        for name in ("out.csv", "whole.csv")
    )
    assert "of an earlier run" in again
    assert whole == ""
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


# --- folders by brand ---


def test_photos_are_sorted_by_what_they_are_taken_for_and_stay_where_they_are(predict, tmp_path):
    draw("x/1.png", "y/1.PNG", "x/2.png", "y/2.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)).save("n.png")
    Path("x/bad.jpg").write_text("no photo")
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.*"))}
    status, said, _ = predict("x", "y", "n.png", "--csv", "out.csv", "--sort", "sorted")
    assert status == 2
    assert said.endswith(": out.csv, sorted\n")
    found = {path.resolve(): path.parent.name for path in Path("sorted").rglob("*.*")}
    expected = {
        Path(row["path"]).resolve(): "unknown" if row["unknown"] == "True" else row["predicted"]
        for row in rows("out.csv")
        if not row["error"]
    }
    assert found == expected
    assert "unknown" in found.values()
    assert before == {path: path.read_bytes() for path in before}
    status, _, errors = predict("x", "--sort", "sorted")
    assert (status, errors) == (
        2,
        ["error: sorted is there already. Give --sort a new folder, or delete that one."],
    )


def test_copies_are_files_of_their_own(predict):
    draw("x/1.png", "x/2.png")
    Path("sorted").mkdir()
    assert predict("x", "--sort", "sorted", "--copy")[0] == 0
    copies = sorted(path for path in Path("sorted").rglob("*.png"))
    assert len(copies) == 2
    assert not any(path.is_symlink() for path in copies)
    assert {path.read_bytes() for path in copies} == {p.read_bytes() for p in Path("x").iterdir()}


def test_names_that_clash_get_a_number_and_none_is_lost(tmp_path):
    names = ["a/1.png", "b/1.png", "c/1-2.png", "d/1.PNG", "e/\u00e9.png", "f/e\u0301.png"]
    draw(*(str(tmp_path / name) for name in names))
    sort_photos(tmp_path / "out", [(str(tmp_path / name), "asta") for name in names], copy=False)
    made = sorted((tmp_path / "out/asta").iterdir())
    assert {path.resolve() for path in made} == {(tmp_path / name) for name in names}
    assert len({path.name.casefold() for path in made}) == len(names)


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "a\0b"])
def test_a_brand_that_is_a_path_leads_nowhere(tmp_path, name):
    draw(str(tmp_path / "a.png"))
    with pytest.raises(UserError, match="can be no folder's name"):
        sort_photos(tmp_path / "in" / "out", [(str(tmp_path / "a.png"), name)], copy=True)
    assert not (tmp_path / "in" / "out").exists()


def test_unknown_photos_are_in_no_brands_folder():
    assert name_unknown(["audi"]) == "unknown"
    assert name_unknown(["Unknown", "_unknown"]) == "__unknown"


# --- what is predicted ---


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("p/*.png", ["p/a.png"]),
        ("p/**/*.png", ["p/a.png", "p/q/b.png", "p/q/r/c.png"]),
        ("p/*", ["p/a.png", "p/q/b.png", "p/q/r/c.png"]),
        ("p/**", ["p/a.png", "p/q/b.png", "p/q/r/c.png"]),
        ("p/[ab].png", ["p/a.png"]),
        ("[x].png", ["[x].png"]),
    ],
)
def test_a_quoted_pattern_is_the_photos_that_it_matches_each_once(predict, pattern, found):
    draw("p/a.png", "p/q/b.png", "p/q/r/c.png", "[x].png")
    Path("p/notes.txt").touch()
    status, said, _ = predict(pattern)
    assert status == 0
    assert [line.split(":")[0] for line in said.splitlines()] == found


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\0"])
@pytest.mark.parametrize("how", ["file", "stdin"])
def test_a_list_of_paths_is_read_and_what_it_lacks_is_a_row(predict, monkeypatch, how, ending):
    draw("p/a.png", "p/q/b.png", "c d.png")
    data = ending.join(["c d.png", "p/q", "gone.png", ""]).encode()
    Path("list.txt").write_bytes(b"\xef\xbb\xbf" + data)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    listed = "list.txt" if how == "file" else "-"
    status, _, _ = predict("p/a.png", "--from", listed, "--csv", "out.csv")
    assert status == 2
    assert [(row["path"], row["error"]) for row in rows("out.csv")] == [
        *(("p/a.png", ""), ("c d.png", ""), ("p/q/b.png", "")),
        ("gone.png", "No such file or directory"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No photos are given."),
        (["p/*.jpg"], "p/*.jpg matches no photos."),
        (["--from", "none.txt"], "none.txt: No such file or directory."),
        (["--from", "empty.txt"], "empty.txt lists no paths."),
        (["-", "--from", "-"], "`-` is given twice"),
        (["a.png", "--copy"], "--copy says how --sort sorts."),
        (["a.png", "--csv", "p"], "p is not a file."),
        (["a.png", "--csv", "none/out.csv"], "There is no folder none for out.csv."),
        (["-", "--sort", "out"], "--sort needs files"),
        (["a.png", "--csv", "out.csv", "--top", "1"], "--top and --json are for what is printed."),
    ],
)
def test_what_cannot_be_meant_is_one_line(predict, arguments, said):
    draw("a.png")
    Path("p").mkdir()
    Path("empty.txt").write_text("\n\n")
    status, printed, (line,) = predict(*arguments)
    assert (status, printed) == (2, "")
    assert line.startswith(f"error: {said}")


def test_a_photo_on_stdin_is_never_taken_from_an_earlier_run(predict, monkeypatch, stop_after):
    draw("a.png", "b.png")

    def pipe(name: str) -> None:
        data = io.BytesIO(Path(name).read_bytes())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))

    pipe("a.png")
    stop_after(1)
    assert predict("-", "a.png", "--csv", "out.csv")[0] == 130
    pipe("b.png")
    stop_after(EVERY)
    assert predict("-", "a.png", "b.png", "--csv", "out.csv")[0] == 0
    first, other, same = ({**row, "path": ""} for row in rows("out.csv"))
    assert first == same != other
