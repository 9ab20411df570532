"""What may be a copy is told, and counts until a person has looked at it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbrand.checks.copies.block_match import BlockMatch
from carbrand.checks.copies.edited_copies import MatchedPair
from carbrand.checks.copies.mark_copies import mark_suspicions
from carbrand.checks.issues import apply_severities
from carbrand.photos.manifest import Row, read_manifest, suspected_leaks, write_manifest
from carbrand.photos.severities import SEVERITIES
from carbrand.scores.evaluation import evaluate_photos, make_predicted
from carbrand.scores.files.predictions_file import read_predictions, write_predictions

ROWS = [
    Row("test/a/1.jpg", "test", "a"),
    Row("test/a/2.jpg", "test", "a"),
    Row("train/a/1.jpg", "train", "a"),
    Row("train/a/2.jpg", "train", "a"),
]


def pair(first: int, second: int, share: float = 0.55) -> MatchedPair:
    return MatchedPair(first, second, BlockMatch(share, 0.6, 30, 1.0, exact=False))


def suspected(*pairs: MatchedPair, rows: list[Row] = ROWS) -> dict[str, str]:
    marked = mark_suspicions(rows, pairs)
    assert all(("suspected" in row.issues) == bool(row.suspected_of) for row in marked)
    return {row.path: row.suspected_of for row in marked if row.suspected_of}


def test_the_test_photo_is_suspected_and_of_one_split_the_later_one():
    assert suspected(pair(0, 2)) == {"test/a/1.jpg": "train/a/1.jpg"}
    assert suspected(pair(0, 1)) == {"test/a/2.jpg": "test/a/1.jpg"}
    assert suspected(pair(2, 3)) == {"train/a/2.jpg": "train/a/1.jpg"}


def test_of_several_the_best_match_is_told():
    assert suspected(pair(0, 2), pair(0, 3, 0.58)) == {"test/a/1.jpg": "train/a/2.jpg"}


def test_of_what_is_surely_a_copy_nothing_is_suspected():
    leaked = [replace(ROWS[0], issues=("leaked",)), *ROWS[1:]]
    assert suspected(pair(0, 2), rows=leaked) == {}
    together = [replace(row, cluster="train/a/1.jpg") for row in ROWS]
    assert suspected(pair(2, 3), rows=together) == {}


@pytest.mark.parametrize("severity", SEVERITIES)
def test_severities_mean_what_they_mean_elsewhere(severity):
    row = apply_severities(mark_suspicions(ROWS, [pair(0, 2)])[0], {"suspected": severity})
    statuses = {"error": "error", "exclude": "excluded", "warn": "kept", "ignore": "kept"}
    assert row.status == statuses[severity]
    assert bool(row.suspected_of) == (severity != "ignore")


def test_only_test_photos_suspected_of_training_photos_are_taken_out_of_the_accuracy(tmp_path):
    marked = mark_suspicions(ROWS, [pair(0, 2), pair(0, 1), pair(2, 3)])
    write_manifest(tmp_path / "manifest.csv", marked)
    rows = read_manifest(tmp_path / "manifest.csv")
    assert rows == marked
    assert suspected_leaks(rows) == {"test/a/1.jpg"}


def test_the_accuracy_without_suspected_photos_follows_from_the_rows(tmp_path):
    brands = ["a", "b"]
    photos = [
        make_predicted("1", "a", False, (0.9, 0.1), brands, suspected=True),
        make_predicted("2", "a", False, (0.2, 0.8), brands),
        make_predicted("3", "b", False, (0.2, 0.8), brands),
        make_predicted("4", "b", True, (0.2, 0.8), brands),
    ]
    write_predictions(tmp_path / "predictions.csv", photos, brands)
    assert read_predictions(tmp_path / "predictions.csv") == (photos, brands)
    metrics = evaluate_photos(photos, brands, 10)
    assert metrics["images"] == 3
    without = metrics["without_suspected"]
    assert (without["accuracy"], without["images"]) == (0.5, 2)
    assert evaluate_photos(photos[:1], brands, 10)["without_suspected"] == {"images": 0}
