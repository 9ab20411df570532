"""Which test photos a model was trained on, by the manifests of two runs."""

from __future__ import annotations

from carbrand.photos.manifest import EXCLUDED, Row
from carbrand.release.gate.manifests import Manifests
from carbrand.scores.evaluation import PredictedPhoto


def row(path: str, pixels: str, **more: object) -> Row:
    split, brand, _ = path.split("/")
    return Row(path, split, brand, pixel_sha256=pixels, **more)  # type: ignore[arg-type]


def manifests(old: list[Row], new: list[Row]) -> Manifests:
    return Manifests({r.path: r for r in old}, {r.path: r for r in new})


def predicted(path: str, leaked: bool) -> dict[str, PredictedPhoto]:
    return {path: PredictedPhoto(path, "a", "a", 1.0, leaked, (1.0,))}


def test_a_photo_that_moved_from_train_to_test_was_trained_on():
    both = manifests(
        [row("train/a/1", "x"), row("train/a/2", "y"), row("test/a/9", "z")],
        [row("test/a/1", "x"), row("train/a/2", "y"), row("test/a/9", "z")],
    )
    assert both.trained_on_by_old({}) & {"test/a/1", "test/a/9"} == {"test/a/1"}


def test_the_name_does_not_matter_but_the_pixels_do():
    both = manifests(
        [row("train/a/1", "x"), row("test/a/1", "y")],
        [row("test/b/other", "x"), row("test/a/1", "replaced")],
    )
    assert both.trained_on_by_old(predicted("test/a/1", leaked=True)) == {"test/b/other"}


def test_copies_that_either_run_knows_of_count_as_the_photo():
    cluster = {"cluster": "test/a/new"}
    old = [
        row("train/a/1", "x"),
        row("train/a/2", "y", status=EXCLUDED, duplicate_of="train/a/1"),
        row("test/a/3", "z", issues=("leaked",), status=EXCLUDED),
        row("test/a/4", "by vectors"),
        row("train/a/5", "never read from", status=EXCLUDED),
    ]
    new = [
        row("test/a/2", "y"),
        row("test/a/3", "z"),
        row("test/a/4", "by vectors"),
        row("test/a/5", "never read from"),
        row("test/a/new", "saved anew", **cluster),
        row("test/b/new", "x", **cluster),
    ]
    found = manifests(old, new).trained_on_by_old(predicted("test/a/4", leaked=True))
    assert found == {row.path for row in new} - {"test/a/5"}


def test_a_reencoded_photo_is_found_by_its_hash_and_a_similar_one_is_not():
    old = [row("train/a/1", "x", phash=f"{0:016x}")]
    new = [
        row("test/a/anew", "y", phash=f"{0b111111:016x}"),
        row("test/a/like", "z", phash=f"{0xFFFF:016x}"),
        row("test/a/broken", "", phash=""),
    ]
    assert manifests(old, new).trained_on_by_old({}) == {"test/a/anew"}


def test_photos_are_the_same_by_their_pixels():
    both = manifests(
        [row("test/a/1", "x"), row("test/a/2", "y"), row("test/a/3", "")],
        [row("test/a/1", "x"), row("test/a/2", "z"), row("test/a/3", "")],
    )
    assert both.same_photos() == {"test/a/1"}
