"""Test photos whose brand looks wrong are listed as cleanlab would, and change no number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from carbrand.scores.evaluation import PredictedPhoto, make_predicted
from carbrand.scores.files.suspects_file import read_suspects, write_suspects
from carbrand.scores.label_issues import LISTED, find_issues, find_test_suspects

BRANDS = ("asta", "bolt", "cirro")


def draw(photos: int, brands: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities of a model that is right about most of them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(photos) % brands
    logits = rng.normal(0, 1, (photos, brands)) + 2 * np.eye(brands)[labels]
    shares = np.exp(logits)
    return labels, shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("photos", "brands"), [(37, 3), (48, 3), (300, 81), (12, 6), (4, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_the_issues_and_scores_are_those_of_cleanlab(photos: int, brands: int, seed: int):
    labels, probabilities = draw(photos, brands, seed)
    issues, quality = find_issues(labels, probabilities)
    expected = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    assert issues.tolist() == expected.tolist()
    scores = get_label_quality_scores(
        labels, probabilities, method="self_confidence", adjust_pred_probs=True
    )
    assert quality == pytest.approx(scores, abs=1e-9)


def photo(name: str, actual: str, shares: tuple[float, ...], leaked: bool = False):
    return make_predicted(name, actual, leaked, shares, BRANDS)


@pytest.fixture
def photos() -> list[PredictedPhoto]:
    """Ten photos, of which one of asta is surely a bolt, and one of bolt perhaps an asta."""
    right = [photo(f"a{n}", "asta", (0.8, 0.1, 0.1)) for n in range(4)]
    right += [photo(f"b{n}", "bolt", (0.3, 0.6, 0.1)) for n in range(4)]
    return [
        *right,
        photo("wrong", "asta", (0.05, 0.9, 0.05)),
        photo("unsure", "bolt", (0.45, 0.4, 0.15)),
        photo("leaked", "asta", (0.02, 0.9, 0.08), leaked=True),
    ]


def test_a_wrong_label_comes_first_with_the_accuracy_if_it_were_changed(photos):
    suspects = find_test_suspects(photos, BRANDS)
    first = suspects[0]
    assert (first.path, first.brand, first.suggested, first.issue) == (
        "wrong",
        "asta",
        "bolt",
        True,
    )
    assert first.confidence == 0.9
    assert first.accuracy_if == 0.9  # 8 of 10 are right as they are
    assert [suspect.path for suspect in suspects if suspect.issue] == ["wrong"]
    by_path = {suspect.path: suspect for suspect in suspects}
    assert by_path["unsure"].accuracy_if == 0.9
    assert by_path["a0"].accuracy_if == 0.7  # and would be wrong then
    assert "leaked" not in by_path


def test_what_a_person_has_confirmed_is_not_listed_and_changes_nothing_else(photos):
    every = find_test_suspects(photos, BRANDS)
    others = find_test_suspects(photos, BRANDS, confirmed={"wrong"})
    assert others == [suspect for suspect in every if suspect.path != "wrong"]


def test_a_brand_without_photos_is_nobodys_suggestion_of_an_issue(photos):
    strange = [*photos, photo("strange", "asta", (0.1, 0.1, 0.8))]
    by_path = {suspect.path: suspect for suspect in find_test_suspects(strange, BRANDS)}
    assert not by_path["strange"].issue


def test_a_long_list_ends_where_the_issues_end():
    labels, probabilities = draw(400, 3, 0)
    photos = [
        photo(f"{n:03}", BRANDS[label], tuple(row))
        for n, (label, row) in enumerate(zip(labels, probabilities, strict=True))
    ]
    suspects = find_test_suspects(photos, BRANDS)
    issues = sum(suspect.issue for suspect in suspects)
    assert max(LISTED, issues) <= len(suspects) <= LISTED + issues
    assert [s.suspicion for s in suspects] == sorted((s.suspicion for s in suspects), reverse=True)


def test_the_file_reads_back(photos, tmp_path: Path):
    suspects = find_test_suspects(photos, BRANDS)
    write_suspects(tmp_path / "suspects.csv", suspects)
    assert read_suspects(tmp_path / "suspects.csv") == suspects
    header = (tmp_path / "suspects.csv").read_text().splitlines()[0]
    assert header == "path,brand,suggested,confidence,suspicion,issue,accuracy_if"
