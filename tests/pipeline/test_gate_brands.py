"""A brand more, a brand less, another name: compared by the brands and photos that both know."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from carbrand.node.errors import UserError
from carbrand.photos.manifest import Row, write_manifest
from carbrand.release.gate.comparison import Comparison, compare_models
from carbrand.release.gate.decision import Verdict
from carbrand.release.gate.rendering.as_json import as_json
from carbrand.release.gate.rendering.as_markdown import as_markdown
from carbrand.release.gate.rendering.as_text import as_text
from carbrand.release.retrain.summary import make_title
from carbrand.scores.evaluation import PredictedPhoto, make_predicted
from tests.conftest import git
from tests.pipeline.test_gate import BRANDS, FILES, PARAMS, commit, make_photos, write_side

MORE = (*BRANDS, "dart")
RENAMED = ("asta", "bolt", "dart")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository whose branch `main` has a model of three brands, 8 of 120 photos wrong."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    write(folder, make_photos(wrong=8), BRANDS)
    (folder / FILES.manifest).rename(tmp_path / "old.csv")
    commit(folder)
    return folder


def write(project: Path, photos: list[PredictedPhoto], brands: tuple[str, ...]) -> None:
    """A run's files, its manifest too; another set of brands is another folder of test photos."""
    write_side(project, photos, test_hash=f"{len(photos)}{brands[-1]}.dir", brands=brands)
    rows = [Row(p.path, "test", p.actual, pixel_sha256=f"pixels of {p.path}") for p in photos]
    (project / FILES.manifest).parent.mkdir(parents=True, exist_ok=True)
    write_manifest(project / FILES.manifest, rows)


def judged(project: Path) -> Comparison:
    def find_file(commit: str, path: Path) -> Path:
        assert (commit, path) == (git(project, "rev-parse", "main").strip(), FILES.manifest)
        return project.parent / "old.csv"

    return compare_models(project, None, PARAMS, FILES, find_file)


def called(photos: Iterable[PredictedPhoto], brand: str, count: int) -> list[PredictedPhoto]:
    """The first of the photos, which know the brands MORE, are taken for that brand."""
    shares = [0.8 if other == brand else 0.2 / (len(MORE) - 1) for other in MORE]
    return [
        make_predicted(p.path, p.actual, p.leaked, shares, MORE) if n < count else p
        for n, p in enumerate(photos)
    ]


def test_a_brand_more_is_compared_by_the_others_and_left_to_a_person(project: Path):
    write(project, make_photos(brands=MORE), MORE)
    comparison = judged(project)
    assert comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert "(new: dart)" in comparison.reasons[0]
    assert "promote --accept" in comparison.reasons[0]
    assert comparison.reasons[1].startswith("The new model loses less than 5 points")
    assert comparison.evidence.photos == 120
    text = as_text(comparison)
    assert "  brands       new: dart" in text
    assert "dart (new) 40 of 40" in text
    page = as_markdown(comparison)
    assert "recall of <code>dart</code> (40 photos) |  | 100.0" in page
    assert "macro F1" not in page  # of other brands, so no progress
    said = json.loads(as_json(comparison))
    assert (said["brands_new"], said["brands_gone"]) == (["dart"], [])
    assert make_title(comparison).startswith("Draft: Retrained model: other brands, 1 new, 0 gone")


def test_a_new_brand_is_a_wrong_answer_for_a_photo_of_an_old_one(project: Path):
    write(project, called(make_photos(brands=MORE), "dart", 20), MORE)
    comparison = judged(project)
    assert comparison.evidence.new_correct == 100
    assert comparison.verdict is Verdict.REJECT
    assert "(new: dart)" in comparison.reasons[0]


def test_a_brand_less_and_another_name_are_compared_by_what_is_left(project: Path):
    write(project, make_photos(brands=BRANDS[:2]), BRANDS[:2])
    comparison = judged(project)
    assert (comparison.verdict.exit_status, comparison.evidence.photos) == (3, 80)
    assert "(gone: cirro)" in comparison.reasons[0]
    write(project, make_photos(brands=RENAMED), RENAMED)
    comparison = judged(project)
    assert (comparison.verdict.exit_status, comparison.evidence.photos) == (3, 80)
    assert "(new: dart; gone: cirro)" in comparison.reasons[0]


def test_a_new_brand_is_held_to_the_floor_and_needs_photos_like_any_other(project: Path):
    photos = make_photos(brands=MORE)
    few = [p for p in photos if p.actual != "dart" or p.path.endswith("/001.jpg")]
    write(project, few, MORE)
    assert "Too few leak-free test photos of dart (1)" in " ".join(judged(project).reasons)
    write(project, called(photos[::-1], "bolt", 30), MORE)
    comparison = judged(project)
    assert comparison.verdict is Verdict.REJECT
    assert "The recall of dart is 25.0% (10 of 40 photos)" in " ".join(comparison.reasons)


def test_only_photos_that_both_runs_saw_are_compared_and_the_rest_is_counted(project: Path):
    photos = make_photos(brands=MORE)
    renamed = replace(photos[0], path="Datasets/test/asta/new.jpg")
    write(project, [*photos[1:], renamed], MORE)
    rows = (project / FILES.manifest).read_text("utf-8")
    other = rows.replace("pixels of Datasets/test/asta/001", "other pixels of")
    (project / FILES.manifest).write_text(other, "utf-8")
    comparison = judged(project)
    assert comparison.evidence.photos == 118
    assert comparison.unpaired == 2
    assert "; 2 left out, which the old model did not predict" in as_text(comparison)


@pytest.mark.parametrize("brands", [MORE, ("x", "y", "z")])
def test_without_a_photo_that_both_know_it_is_still_a_verdict(
    project: Path, brands: tuple[str, ...]
):
    write(project, make_photos(brands=brands), brands)
    (project.parent / "old.csv").unlink()
    comparison = judged(project)
    assert comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert comparison.reasons[1].startswith("There is no leak-free test photo")
    for write_out in (as_text, as_markdown, as_json):
        assert brands[-1] in write_out(comparison)
    assert "unknown -> unknown" in as_text(comparison)


def test_what_is_no_change_of_brands_asks_no_manifest(project: Path):
    write(project, make_photos(per_brand=39), BRANDS)
    with pytest.raises(UserError, match="The test photos are not those of main"):
        judged(project)
