"""How much evidence test photos have left, and when others count afresh."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carbrand.node.errors import UserError
from carbrand.release.gate.gate_params import GateParams
from carbrand.release.gate.ledger import COLUMNS, Ledger, Standing, read_ledger, record
from carbrand.release.gate.pairing import PairedPhoto
from carbrand.release.gate.revision import Revision
from carbrand.scores.evaluation import make_predicted
from tests.conftest import git

PARAMS = GateParams(0.05, 0.95, 0.3, 5, verdicts=4, total_error=0.05, fresh=0.5)
FILE = Path("ledger.csv")
# 1 + 1/2 + 1/3 + 1/4
SUM = 25 / 12


def photos(first: int, last: int) -> list[PairedPhoto]:
    """Test photos whose pixels have these numbers."""
    made = [
        make_predicted(f"{n - first}.jpg", "a", False, (1.0, 0.0), "ab", pixels=f"pixels {n}")
        for n in range(first, last)
    ]
    return [PairedPhoto(photo, photo) for photo in made]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-qm", "start", "--allow-empty")
    return tmp_path


def read(project: Path) -> Ledger:
    return read_ledger(project, FILE, Revision("main", git(project, "rev-parse", "HEAD").strip()))


def ask(
    project: Path,
    new: str,
    verdict: str = "reject",
    pairs: list[PairedPhoto] | None = None,
    params: GateParams = PARAMS,
) -> Standing:
    """One verdict on the model `new`, recorded."""
    standing = read(project).open(pairs or photos(0, 40), "old" * 9, new * 30, "c" * 40, params)
    record(project, FILE, standing, verdict)
    return standing


def test_verdicts_spend_the_total_error_and_no_more(project: Path):
    found = [ask(project, new) for new in "abcdef"]
    levels = [standing.level for standing in found]
    assert levels == pytest.approx([0.05 / SUM / k for k in (1, 2, 3, 4)] + [0, 0], rel=1e-5)
    assert sum(levels) == pytest.approx(0.05, rel=1e-5)
    assert [standing.left for standing in found] == [4, 3, 2, 1, 0, 0]
    assert [standing.spent for standing in found] == [False] * 4 + [True] * 2
    assert len((project / FILE).read_text().splitlines()) == 1 + 4  # nothing is left to spend


def test_a_promotion_costs_nothing(project: Path):
    verdicts = ["promote", "promote", "not enough evidence", "promote", "promote"]
    found = [ask(project, new, verdict) for new, verdict in zip("abcde", verdicts, strict=True)]
    levels = np.array([standing.level for standing in found]) * SUM / 0.05
    assert levels == pytest.approx([1, 1, 1, 1 / 2, 1 / 2], rel=1e-5)
    assert found[0].left_after("promote") == 4
    assert found[0].left_after("reject") == 3


def test_the_same_pair_costs_nothing_and_has_its_level_for_ever(project: Path):
    first = ask(project, "a")
    ask(project, "b")
    before = (project / FILE).read_bytes()
    again = ask(project, "a")
    assert again.entry is None
    assert again.level == pytest.approx(first.level, rel=1e-5)
    assert (again.left, again.left_after("reject")) == (2, 2)
    assert ask(project, "old").entry is None  # the same model on both sides
    assert (project / FILE).read_bytes() == before
    # With a margin that lets more pass it is another question.
    assert ask(project, "a", params=replace(PARAMS, margin=0.1)).entry is not None


def test_no_verdict_is_less_sure_than_one_by_itself(project: Path):
    assert ask(project, "a", params=replace(PARAMS, total_error=0.5)).level == pytest.approx(0.05)


def test_photos_that_are_mostly_fresh_start_a_new_account(project: Path):
    ask(project, "a")
    grown = ask(project, "b", pairs=photos(0, 60))
    assert (grown.left, grown.fresh) == (3, 20)
    lines = (project / FILE).read_text().splitlines()
    assert [len(line.split(",")[-1]) for line in lines[1:]] == [40 * 5, 20 * 5]  # each photo once
    # The promise: so many more, and it starts again. Names are those of other photos.
    assert ask(project, "c", pairs=photos(0, 119)).left == 2
    assert ask(project, "d", pairs=photos(30, 90)).left == 1
    assert ask(project, "e", pairs=photos(119, 150)).left == 4


@pytest.mark.parametrize(("used", "share"), [(40, 0.5), (37, 0.5), (37, 0.3), (37, 0.7), (1, 0.1)])
def test_as_many_fresh_photos_as_it_says_start_a_new_account_and_one_less_does_not(
    project: Path, used: int, share: float
):
    params = replace(PARAMS, fresh=share)
    needed = ask(project, "a", pairs=photos(0, used), params=params).fresh
    ledger = read(project)
    left = [
        ledger.open(photos(0, used + more), "x", "y", "c", params).left
        for more in (needed - 1, needed)
    ]
    assert left == [3, 4]


def test_what_was_proposed_on_a_branch_counts_though_nobody_merged_it(project: Path):
    git(project, "switch", "-qc", "retrain/0123")
    ask(project, "a")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "proposed")
    git(project, "switch", "-q", "main")
    assert not (project / FILE).exists()
    assert ask(project, "b").left == 3
    git(project, "branch", "-qD", "retrain/0123")
    assert ask(project, "c").left == 3  # only its own


def test_lines_of_two_branches_merge_by_themselves(project: Path):
    (project / ".gitattributes").write_text("/ledger.csv merge=union\n")
    (project / FILE).write_text(f"{','.join(COLUMNS)}\n")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "shipped")
    for branch, models in (("one", "ab"), ("two", "ac")):
        git(project, "switch", "-qc", branch, "main")
        for model in models:
            ask(project, model)
        git(project, "commit", "-qam", branch)
    git(project, "merge", "-qm", "both", "one")
    merged = read(project)
    assert sorted(entry.new[0] for entry in merged.entries) == ["a", "b", "c"]
    standing = merged.open(photos(0, 40), "old" * 9, "d" * 30, "c", PARAMS)
    spent = [0.05 / SUM * share for share in (1, 1 / 2, 1 / 2)]
    assert standing.left == 1
    assert standing.level == pytest.approx(0.05 - sum(spent), abs=1e-6)


@pytest.mark.parametrize(
    "line", ["a,b", "a,b,c,d,0.05,much,reject,", "a,b,c,d,0.05,7,reject,", "<<"]
)
def test_a_damaged_ledger_is_one_line_that_says_how_to_mend_it(project: Path, line: str):
    (project / FILE).write_text(f"{','.join(COLUMNS)}\n{line}\n")
    with pytest.raises(UserError, match=r"^ledger\.csv here cannot be used .* whole lines of both"):
        read(project)
