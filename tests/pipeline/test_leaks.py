"""Copies that no hash tells are found by the nodes that have vectors, and treated by the rules."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carbrand.network.vector_cache import VectorCache
from carbrand.node.errors import UserError
from carbrand.photos.copies_file import Copy, read_copies
from carbrand.photos.manifest import Row, read_manifest
from carbrand.photos.photo import open_photo
from carbrand.photos.severities import (
    CopySeverities,
    excluded_paths,
    raise_for_errors,
    without_ignored,
)
from carbrand.scores.files.map_file import read_map
from carbrand.scores.files.predictions_file import read_predictions
from carbrand.vectors.alignment import grey_thumbnail
from carbrand.vectors.feature_store import Features, Recipe, read_features
from carbrand.vectors.leaks import classify_copies, mark_leaks
from carbrand.vectors.standardizer import Standardizer
from carbrand.vectors.training_copies import exclude_copies
from carbrand.vectors.vector_copies import PhotoSet
from stages import evaluate, features, finetune, train, validate
from tests.conftest import ROOT, edit_params
from tests.support.edits import CROPS, EDITS

pytestmark = pytest.mark.usefixtures("on_tensorflow")

RULES = CopySeverities(label_conflict="error", leaked="exclude", duplicate="exclude")
RECIPE = Recipe("pad", 8, (2,))
LEAK = Copy("test/a/1.jpg", "train/a/1.jpg", "leaked", 0.95, False)
DOUBLE = Copy("test/a/2.jpg", "test/a/3.jpg", "duplicate", 0.95, False)
CONFLICT = Copy("test/a/4.jpg", "train/b/1.jpg", "label_conflict", 0.95, True)
ROWS = [Row(f"test/a/{number}.jpg", "test", "a") for number in range(6)]


def marked(*copies: Copy, rules: CopySeverities = RULES) -> dict[str, bool]:
    """The numbers of the rows that are left, and whether they leak."""
    return {row.path[7]: row.leaked for row in mark_leaks(ROWS, copies, rules)}


def test_a_leak_is_marked_and_a_duplicate_stays_out():
    assert marked(LEAK, DOUBLE) == {"0": False, "1": True, "3": False, "4": False, "5": False}
    kept = marked(LEAK, DOUBLE, rules=replace(RULES, leaked="warn", duplicate="warn"))
    assert kept == {"0": False, "1": True, "2": False, "3": False, "4": False, "5": False}


def test_a_conflict_stops_stays_out_or_is_a_leak():
    with pytest.raises(UserError) as caught:
        marked(CONFLICT)
    assert "test/a/4.jpg shows a mirrored version or part of train/b/1.jpg" in str(caught.value)
    assert "set validate.label_conflict: exclude" in str(caught.value)
    assert "4" not in marked(CONFLICT, rules=replace(RULES, label_conflict="exclude"))
    assert marked(CONFLICT, rules=replace(RULES, label_conflict="warn"))["4"]


def test_a_conflict_between_two_test_photos_is_no_leak():
    inside = Copy("test/a/4.jpg", "test/a/5.jpg", "label_conflict", 0.95, False)
    for severity in ("warn", "ignore"):
        assert not any(marked(inside, rules=replace(RULES, label_conflict=severity)).values())
    assert set(marked(inside, rules=replace(RULES, label_conflict="exclude"))) == set("0123")


def test_what_is_to_be_ignored_is_not_told():
    rules = replace(RULES, label_conflict="ignore", duplicate="ignore")
    assert without_ignored([LEAK, DOUBLE, CONFLICT], rules) == [LEAK]


def test_every_error_is_told_at_once():
    rules = CopySeverities("error", "error", "error")
    with pytest.raises(UserError) as caught:
        raise_for_errors([LEAK, DOUBLE, CONFLICT], rules)
    assert len(caught.value.problems) == 3
    assert "set validate.leaked: exclude" in str(caught.value)


def test_of_two_brands_for_one_photo_both_stay_out_and_of_duplicates_the_copy():
    rules = CopySeverities("exclude", "exclude", "exclude")
    assert excluded_paths([LEAK, DOUBLE, CONFLICT], rules) == {
        *("test/a/2.jpg", "test/a/4.jpg", "train/b/1.jpg"),
    }


BRANDS = ("audi", "lamborghini", "mercedes")
PLANTED = {**EDITS, **CROPS}


def test_every_test_photo_may_prove_to_be_a_copy(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 1, (6, 20)).astype(np.float32)
    noise = rng.integers(0, 256, (6, 80, 80, 3), dtype=np.uint8)
    thumbnails = np.stack([grey_thumbnail(Image.fromarray(photo)) for photo in noise])
    learned = [Row(f"train/a/{number}.jpg", "train", "a", 80, 80) for number in range(6)]
    # Of another brand, which is not looked at.
    listed = [replace(row, width=80, height=80, brand="b") for row in ROWS[:2]]
    training = PhotoSet(learned, vectors, thumbnails)
    tests = PhotoSet(listed, vectors[:2], thumbnails[:2])
    with VectorCache(tmp_path / "v", {}) as kept:
        space = Standardizer.fit(vectors[:, None], [20])
        found = features.find_test_copies(tests, training, space, kept)
    assert [(copy.path, copy.copy_of, copy.issue) for copy in found] == [
        (f"test/a/{number}.jpg", f"train/a/{number}.jpg", "leaked") for number in range(2)
    ]


LEARNED = [Row(f"train/{brand}/9.jpg", "train", brand) for brand in "ab"]


def found_to_be(
    rows: list[Row], *alike: tuple[int, int], unlearned: tuple[str, ...] = ()
) -> set[tuple[str, str, str]]:
    """What pairs of rows, by number, mean: numbers of the copy and of the original, and the issue.

    9 is the training photo.
    """
    paths = {number: row.path for number, row in enumerate(rows)} | {9: LEARNED[0].path}
    pairs = [Copy(paths[one], paths[other], "duplicate", 0.95, False) for one, other in alike]
    judged = classify_copies([*rows, *LEARNED], pairs, unlearned)
    return {(copy.path[-5], copy.copy_of[-5], copy.issue) for copy in judged}


def test_a_copy_of_a_leaked_test_photo_leaks_too():
    """Known ones (5), those found now (0), and copies of their copies, whichever was taken for the
    original; 3 and 4 are alike only.
    """
    rows = [Row(f"test/a/{number}.jpg", "test", "a") for number in range(8)]
    rows[5] = replace(rows[5], issues=("leaked",))
    rows[2] = replace(rows[2], brand="b")
    found = found_to_be(rows, (0, 9), (1, 0), (2, 1), (4, 3), (6, 5), (6, 7))
    assert found == {
        *(("0", "9", "leaked"), ("1", "0", "leaked"), ("6", "5", "leaked"), ("7", "6", "leaked")),
        *(("2", "1", "label_conflict"), ("4", "3", "duplicate")),
    }
    copies = [Copy(f"test/a/{a}.jpg", f"test/a/{b}.jpg", c, 0.9, False) for a, b, c in found]
    rules = replace(RULES, label_conflict="warn", duplicate="warn")
    counted = mark_leaks(rows, copies, rules)
    assert [row.path[7] for row in counted if row.leaked] == ["0", "1", "2", "5", "6", "7"]


def test_a_leak_that_vectors_show_spreads_to_copies_that_hashes_show():
    rows = [Row(f"test/a/{number}.jpg", "test", "a") for number in range(4)]
    rows[0], rows[1] = (replace(row, cluster=rows[0].path) for row in rows[:2])
    assert found_to_be(rows, (0, 9), (2, 1)) == {("0", "9", "leaked"), ("2", "1", "leaked")}
    counted = mark_leaks(rows, [LEAK, replace(LEAK, path=rows[0].path)], RULES)
    assert [row.path[7] for row in counted if row.leaked] == ["0", "1"]


def test_a_copy_of_what_nobody_learned_from_is_no_leak():
    """Two brands for one training photo, both left out."""
    rows = [Row(f"test/a/{number}.jpg", "test", "a") for number in range(2)]
    assert found_to_be(rows, (0, 9), (1, 0), unlearned=(LEARNED[0].path,)) == {
        ("1", "0", "duplicate")
    }


def test_of_several_originals_the_best_of_each_brand_is_told():
    copies = [
        Copy(ROWS[0].path, path, "leaked", similarity, False)
        for path, similarity in (("train/a/9.jpg", 0.95), ("train/b/9.jpg", 0.9))
    ]
    worse = replace(copies[0], copy_of="train/a/8.jpg", similarity=0.94)
    manifest = [*ROWS, *LEARNED, Row("train/a/8.jpg", "train", "a")]
    assert classify_copies(manifest, [*copies, worse], ()) == [
        copies[0],
        replace(copies[1], issue="label_conflict"),
    ]


def test_a_brand_of_copies_of_one_photo_is_too_few_to_learn_and_validate():
    """Whatever becomes of duplicates: a fold would hold all of them, and its head see none."""
    names = [f"train/{name}.jpg" for name in "abcd"]
    groups = ["g", "g", "h", "i"]
    vectors = np.zeros((4, 1, 2), np.float32)
    features = Features(vectors, names, ["x", "x", "y", "y"], groups, groups, RECIPE, Path())
    with pytest.raises(UserError, match="x has 1 training photo without copies of one another"):
        exclude_copies(features, [], replace(RULES, duplicate="warn"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every edit of a training photo lies among the test photos, as the nodes
    before `plot` leave it.
    """
    root = tmp_path_factory.mktemp("planted")
    for split, count in (("train", 9), ("test", 4)):
        for brand in BRANDS:
            folder = root / "Datasets" / split / brand
            folder.mkdir(parents=True)
            for source in sorted((ROOT / "Datasets" / split / brand).iterdir())[:count]:
                shutil.copy(source, folder)
    for number, name in enumerate(PLANTED):
        brand = BRANDS[number % len(BRANDS)]
        original = sorted((root / "Datasets/train" / brand).iterdir())[number // len(BRANDS)]
        copy = root / "Datasets/test" / brand / f"{name} of {original.stem}.png"
        PLANTED[name](open_photo(original)).save(copy)
    train_folder = root / "Datasets/train"
    CROPS["crop"](open_photo(train_folder / "audi/007.jpg")).save(train_folder / "audi/part.png")
    shutil.copy(ROOT / "params.yaml", root)
    edit_params(root, features__size_px=224, features__views=2, train__epochs=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run_nodes()
    return root


def run_nodes() -> None:
    params, artifacts = Path("params.yaml"), Path("artifacts")
    checked = artifacts / "validate"
    datasets = Path("Datasets")
    folders, corrections = (datasets / "train", datasets / "test"), datasets / "corrections.csv"
    validate.main(params, *folders, datasets / "groups.csv", corrections, checked)
    features.main(params, checked / "manifest.csv", Path(".vectors"), artifacts / "features")
    learned = artifacts / "features", corrections, Path(".training"), artifacts / "train"
    train.main(params, *learned)
    finetune.main(
        *(params, artifacts / "train", Path(".finetuning"), artifacts / "finetune"),
    )
    evaluate.main(
        *(params, artifacts / "finetune/model.h5", checked, artifacts / "features"),
        artifacts / "evaluate",
    )


@pytest.mark.usefixtures("sample_in_place")
def test_every_planted_copy_is_leaked_and_no_other_photo(planted):
    photos, _ = read_predictions(planted / "artifacts/evaluate/predictions.csv")
    leaked = {Path(photo.path).name for photo in photos if photo.leaked}
    assert {name.split(" of ")[0] for name in leaked} == set(PLANTED)
    assert len(photos) == 3 * 4 + len(PLANTED)
    metrics = json.loads((planted / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    assert (metrics["images"], metrics["leaked"]) == (12, len(PLANTED))
    assert metrics["as_given"]["images"] == len(photos)


@pytest.mark.usefixtures("sample_in_place")
def test_hashes_find_all_edits_and_vectors_the_crops(planted):
    """Each by whom it was found; together everything, and the right original."""
    manifest = read_manifest(planted / "artifacts/validate/manifest.csv")
    by_hash = {row.path: row.duplicate_of for row in manifest if row.leaked}
    copies = read_copies(planted / "artifacts/evaluate/copies.csv")
    by_vector = {copy.path: copy.copy_of for copy in copies}
    assert not set(by_hash) & set(by_vector)
    assert {name for name in PLANTED if any(f"/{name} of" in path for path in by_vector)} == {
        *CROPS
    }
    for path, original in (by_hash | by_vector).items():
        assert path.endswith(f" of {Path(original).stem}.png")
        assert Path(path).parent.name == Path(original).parent.name
    assert all(copy.mirrored == ("mirrored" in copy.path) for copy in copies)
    assert {copy.issue for copy in copies} == {"leaked"}


@pytest.mark.usefixtures("sample_in_place")
def test_a_part_of_a_training_photo_is_not_learned_from(planted):
    artifacts = planted / "artifacts"
    (copy,) = read_copies(artifacts / "features/copies.csv")
    assert copy.path == "Datasets/train/audi/part.png"
    assert (copy.copy_of, copy.issue) == ("Datasets/train/audi/007.jpg", "duplicate")
    stored = read_features(artifacts / "features")
    groups = dict(zip(stored.paths, stored.groups, strict=True))
    assert groups[copy.path] == groups[copy.copy_of] == copy.copy_of  # they share a fold
    assert len(set(groups.values())) == len(groups) - 1
    summary = json.loads((artifacts / "train/summary.json").read_text("utf-8"))
    assert summary["photos"] == len(stored.paths) - 1 == 27


@pytest.mark.usefixtures("sample_in_place")
def test_the_map_holds_every_photo_once(planted):
    places = read_map(planted / "artifacts/evaluate/map.csv")
    assert len({place.path for place in places}) == len(places) == 28 + 12 + len(PLANTED)
    assert {place.split for place in places} == {"train", "test"}


@pytest.mark.usefixtures("sample_in_place")
def test_a_part_of_a_photo_under_another_brand_stops_training(planted, tmp_path):
    project = Path(shutil.copytree(planted, tmp_path / "project"))
    folder = project / "Datasets/train"
    CROPS["crop"](open_photo(folder / "audi/008.jpg")).save(folder / "mercedes/part.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        with pytest.raises(UserError, match=r"mercedes/part\.png .* under another brand"):
            run_nodes()
