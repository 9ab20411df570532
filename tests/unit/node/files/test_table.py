"""Tables hold any name, and no name in them is a formula to a spreadsheet."""

from __future__ import annotations

import csv

import pytest

from carbrand.node.files.table import read_table, write_table
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.files.predictions_file import read_predictions, write_predictions

FORMULAS = (
    *("=x", "=1+1", "+x", "-a", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "=", "-1+2", "+1e5x"),
    *("\uff1dx", "\uff0bx", "\uff0dx", "\uff20x", '=HYPERLINK("http://x","y")', "=a,b", "-inf"),
)
OTHERS = (
    *("", "'", "'tis", "a=b", "Datasets/train/=x/1.jpg", " =x", "-5", "-0.123", "+1", "-1e-05"),
    *("1", "škoda", "a\nb", 'a"b', "x\udcff", "Icon\r", "'-5", "'=x", "''@", "'x=1"),
)


@pytest.mark.parametrize("name", [*FORMULAS, *OTHERS])
def test_every_text_is_read_as_it_was_written(name, tmp_path):
    write_table(tmp_path / "a.csv", ["path", "brand"], [(name, "x"), ("x", name)])
    header, rows = read_table(tmp_path / "a.csv")
    assert header == ["path", "brand"]
    assert rows == [{"path": name, "brand": "x"}, {"path": "x", "brand": name}]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_is_a_formula(name, tmp_path):
    write_table(tmp_path / "a.csv", [name], [[name], [f"'{name}"]])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert cells == [f"'{name}", f"'{name}", f"''{name}"]


def test_numbers_and_plain_names_are_written_as_they_are(tmp_path):
    numbers = ["-5", "-0.123", "+1", "-1e-05", "1", "-2.", "a-b", "Datasets/train/-a/=1.jpg"]
    write_table(tmp_path / "a.csv", numbers, [])
    assert (tmp_path / "a.csv").read_text("utf-8") == ",".join(numbers) + "\n"


def test_a_row_of_another_length_is_still_seen_to_be_one(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1\n1,2,3\n")
    assert read_table(tmp_path / "a.csv")[1] == [
        {"a": "1", "b": None},
        {"a": "1", "b": "2", None: ["3"]},
    ]


def test_brands_named_like_formulas_keep_their_probabilities(tmp_path):
    brands = ["+b", "-a", "=x"]
    photos = [PredictedPhoto("t/=x/1.png", "=x", "-a", 0.5, False, (0.25, 0.5, 0.25))]
    write_predictions(tmp_path / "p.csv", photos, brands)
    assert read_predictions(tmp_path / "p.csv") == (photos, brands)
