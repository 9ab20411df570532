"""`carbrand gate` on made-up predictions in real Git repositories."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from carbrand.cli import main
from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import write_metrics
from carbrand.photos.manifest import read_manifest, write_manifest
from carbrand.pipeline import status
from carbrand.release.gate.comparison import Comparison, compare_models
from carbrand.release.gate.decision import Verdict
from carbrand.release.gate.gate_params import GateFiles, GateParams
from carbrand.release.gate.model_results import read_results
from carbrand.release.gate.pairing import remeasure
from carbrand.release.gate.rendering.as_json import as_json
from carbrand.release.gate.rendering.as_markdown import as_markdown
from carbrand.release.gate.rendering.as_text import as_text
from carbrand.scores.evaluation import PredictedPhoto, evaluate_photos, make_predicted
from carbrand.scores.files.history import Epoch, write_history
from carbrand.scores.files.predictions_file import read_predictions, write_predictions
from tests.conftest import change_test_photos, git, remember, run
from tests.support.made_up_run import HANDED_ON, TUNED, TUNING_HISTORY

PARAMS = GateParams(
    margin=0.05, confidence=0.95, floor=0.3, min_support=5, verdicts=1, total_error=0.05, fresh=0.5
)
FILES = GateFiles()
BRANDS = ("asta", "bolt", "cirro")
PREDICTIONS, METRICS, LOCK = FILES.predictions, FILES.metrics, FILES.lock


def make_photos(
    per_brand: int = 40, wrong: int = 0, right_from: int = 0, brands: tuple[str, ...] = BRANDS
) -> list[PredictedPhoto]:
    """Of each brand `per_brand` photos; of the first brand `wrong`, from `right_from` on, wrong."""
    photos = []
    for brand in brands:
        for number in range(per_brand):
            failed = brand == brands[0] and right_from <= number < right_from + wrong
            named = brands[1] if failed else brand
            photos.append(
                make_predicted(
                    path=f"Datasets/test/{brand}/{number:03}.jpg",
                    actual=brand,
                    leaked=False,
                    probabilities=[0.8 if b == named else 0.2 / (len(brands) - 1) for b in brands],
                    brands=brands,
                )
            )
    return photos


def write_side(
    project: Path,
    photos: list[PredictedPhoto],
    test_hash: str = "aa.dir",
    epochs: int = 4,
    brands: tuple[str, ...] = BRANDS,
) -> None:
    """The files of a run in which these were predicted."""
    for path in FILES.all():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
    write_predictions(project / PREDICTIONS, photos, brands)
    write_metrics(project / METRICS, evaluate_photos(photos, brands, 10))
    history = [Epoch(n, 0.5, 0.9, 0.6, 0.8 + n / 100) for n in range(1, epochs + 1)]
    write_history(project / FILES.history, history)
    write_history(project / FILES.tuning_history, [])
    write_metrics(project / FILES.tuning, HANDED_ON)
    (project / "params.yaml").write_text(json.dumps({"gate": vars(PARAMS)}))  # JSON is YAML
    lock_side(project, test_hash)


def lock_side(project: Path, test_hash: str = "aa.dir") -> None:
    """Let DVC say that what lies here was made just so, of photos that it keeps elsewhere."""
    (project / ".dvc").mkdir(exist_ok=True)
    (project / ".dvc" / "config").touch()
    (project / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n")
    kept = {"path": "test", "hash": "md5", "md5": test_hash}
    (project / "Datasets").mkdir(exist_ok=True)
    (project / "Datasets" / "test.dvc").write_text(json.dumps({"outs": [kept]}))
    written = [path for path in FILES.all() if path != LOCK and (project / path).exists()]
    node = {
        "cmd": "true",
        "deps": [FILES.test_photos.as_posix()],
        "outs": [{path.as_posix(): {"cache": False}} for path in written],
    }
    (project / "dvc.yaml").write_text(json.dumps({"stages": {"evaluate": node}}))
    outs = [
        {
            **{"path": path.as_posix(), "hash": "md5", "size": (project / path).stat().st_size},
            "md5": hashlib.md5((project / path).read_bytes()).hexdigest(),
        }
        for path in written
    ]
    ran = {"cmd": "true", "deps": [kept | {"path": "Datasets/test"}], "outs": outs}
    (project / LOCK).write_text(json.dumps({"schema": "2.0", "stages": {"evaluate": ran}}))


def commit(project: Path) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", "run")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository whose branch `main` has a model that misclassifies 8 of 120 photos."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    write_side(folder, make_photos(wrong=8))
    commit(folder)
    return folder


def gate(project: Path, *arguments: str, env: dict[str, str] | None = None):
    return run([sys.executable, "-m", "carbrand.cli", "gate", *arguments], project, env)


def gate_here(project: Path, *arguments: str) -> tuple[int, str, str]:
    """The same in this process, without asking DVC whether all is up to date; what it printed."""
    printed = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in "12"]
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed[0]),
        contextlib.redirect_stderr(printed[1]),
    ):
        patch.chdir(project)
        patch.setattr(status, "check_up_to_date", lambda _: None)
        code = main(["gate", *arguments])
    for stream in printed:
        stream.seek(0)
    return code, printed[0].read(), printed[1].read()


def judged(project: Path, rev: str | None = None, **params: float) -> Comparison:
    return compare_models(project, rev, replace(PARAMS, **params), FILES)  # type: ignore[arg-type]


def refused(project: Path, rev: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        judged(project, rev)
    (problem,) = caught.value.problems
    assert "\n" not in problem
    return problem


# --- verdicts


@pytest.mark.parametrize(
    ("now", "code", "said"),
    [
        (
            make_photos(wrong=2),
            0,
            "promote: The new model loses less than 5 points of accuracy (p < 0.001).",
        ),
        (
            make_photos(wrong=20),
            1,
            "reject: The new model is worse than the old one: of the 12 photos for",
        ),
        (
            make_photos(wrong=10),
            3,
            "not enough evidence: 120 photos do not show that the new model loses less than 5 "
            "points of accuracy (p = 0.058). About 160 leak-free test photos would be enough if",
        ),
    ],
)
def test_the_verdict_comes_first_and_is_the_exit_status(project, now, code, said):
    write_side(project, now)
    result = gate(project)
    assert (result.returncode, result.stderr) == (code, "")
    assert result.stdout.startswith(said)
    assert result.stdout.isascii()
    for form, start in (("--json", "{"), ("--markdown", "## Gate: ")):
        ended, out, err = gate_here(project, form)
        assert (ended, err) == (code, "")
        assert out.startswith(start)


def test_the_text_gives_the_numbers(project):
    write_side(project, make_photos(wrong=6, right_from=4))
    text = as_text(judged(project))
    assert re.search(r"^  against +main \([0-9a-f]{7}\)$", text, re.MULTILINE)
    assert "120 leak-free test photos" in text
    assert "93.3% (87.4-96.6%) -> 95.0% (89.5-97.7%)" in text
    assert "+1.7 points (95% interval" in text
    assert "in the new model only 4, in the old one only 2" in text
    assert "asta 32 -> 34 of 40" in text


def test_models_that_predict_the_same_are_promoted_where_photos_are_enough(project):
    assert judged(project).verdict is Verdict.PROMOTE
    few = make_photos(per_brand=10, wrong=1)
    write_side(project, few)
    commit(project)
    comparison = judged(project)
    assert comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert "About 6" in comparison.reasons[0]


def test_no_number_of_photos_is_promised_where_none_would_do(project):
    write_side(project, make_photos(per_brand=10))
    commit(project)
    write_side(project, make_photos(per_brand=10, wrong=2))
    (reason,) = judged(project).reasons
    assert "More photos would not help unless the model gets better" in reason
    assert "-6.7 points" in reason


def test_a_margin_of_0_asks_for_a_better_model(project):
    write_side(project, make_photos(wrong=1))
    assert (
        judged(project, margin=0.0)
        .reasons[0]
        .startswith("The new model is better than the old one (p")
    )
    write_side(project, make_photos(wrong=8))
    comparison = judged(project, margin=0.0)
    assert comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert "do not show that the new model is better" in comparison.reasons[0]


def test_a_brand_below_the_floor_rejects_even_a_better_model(project):
    write_side(project, make_photos(wrong=40))
    commit(project)
    write_side(project, make_photos(wrong=30))
    comparison = judged(project)
    assert comparison.verdict is Verdict.REJECT
    assert comparison.reasons == (
        "The recall of asta is 25.0% (10 of 40 photos), below the floor of 30.0%; the old model "
        "has 0 correct.",
    )
    assert judged(project, floor=0.25).verdict is Verdict.PROMOTE


def test_a_brand_with_too_few_photos_is_not_judged_and_keeps_a_model_from_being_promoted(project):
    photos = [p for p in make_photos(wrong=40) if p.actual != "asta" or p.path.endswith("00.jpg")]
    write_side(project, photos)
    commit(project)
    comparison = judged(project)
    assert comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert comparison.reasons == (
        "Too few leak-free test photos of asta (1): gate.min_support is 5.",
    )
    assert judged(project, min_support=1).verdict is Verdict.REJECT  # by the floor


def test_a_brand_without_any_photo_is_too_few(project):
    photos = [p for p in make_photos() if p.actual != "cirro"]
    write_side(project, photos)
    commit(project)
    assert "cirro (0)" in judged(project).reasons[0]
    assert "unknown" in as_markdown(judged(project))


def test_a_photo_that_is_leaked_on_either_side_is_left_out_and_counted(project):
    def leak(photos: list[PredictedPhoto], *numbers: int) -> list[PredictedPhoto]:
        return [replace(photo, leaked=row in numbers) for row, photo in enumerate(photos)]

    write_side(project, leak(make_photos(wrong=8), 0, 50))
    commit(project)
    write_side(project, leak(make_photos(), 1, 50))
    comparison = judged(project)
    assert comparison.leaked == 3
    assert comparison.evidence.photos == 117
    assert comparison.evidence.gained == 6
    assert "; 3 left out as copies of training photos" in as_text(comparison)


def test_only_copies_of_training_photos_are_nothing_to_compare_by(project):
    write_side(project, make_photos())
    copies = [replace(photo, leaked=True) for photo in make_photos()]
    write_predictions(project / PREDICTIONS, copies, BRANDS)
    lock_side(project)
    assert "All 120 test photos are copies of training photos" in refused(project)


# --- the same photos


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda photos: photos[:-2], "2 are missing here (such as Datasets/test/cirro/038.jpg)"),
        (
            lambda photos: [*photos, replace(photos[0], path="Datasets/test/asta/new.jpg")],
            "1 are missing in main",
        ),
        (
            lambda photos: [replace(photos[0], path="Datasets/test/asta/0.jpg"), *photos[1:]],
            "1 are missing here (such as Datasets/test/asta/000.jpg), 1 are missing in main",
        ),
        (
            lambda photos: [replace(photos[0], actual="bolt"), *photos[1:]],
            "1 have another brand (such as Datasets/test/asta/000.jpg)",
        ),
    ],
)
def test_other_test_photos_cannot_be_compared(project, change, said):
    write_side(project, change(make_photos()))
    problem = refused(project)
    assert said in problem
    assert "With --remeasure the old model predicts the current Datasets/test" in problem


def test_other_photos_of_the_same_names_cannot_be_compared(project):
    write_side(project, make_photos(), test_hash="bb.dir")
    assert "by dvc.lock Datasets/test had other content (bb.dir here" in refused(project)
    assert gate(project).returncode == 2


def test_where_dvc_lock_says_nothing_of_the_test_photos_the_paths_have_to_do(project):
    assert judged(project).same_files
    content = json.loads((project / LOCK).read_text())
    del content["stages"]["evaluate"]["deps"]
    (project / LOCK).write_text(json.dumps(content))
    assert not judged(project).same_files


# --- files that cannot be used


def edit(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


BAD_PREDICTIONS = [
    (lambda _: "", "no column path"),
    (lambda text: text.splitlines()[0] + "\n", "it has no rows"),
    (edit("confidence", "sureness"), "no column confidence"),
    (edit("p_asta", "p_bolt"), "two columns have the same name"),
    (edit("/001.jpg", "/000.jpg"), "Datasets/test/asta/000.jpg has two rows"),
    (edit(",0.800000,false", ",nan,false"), "expected a number, got nan"),
    (edit("0.100000", "inf"), "expected a number, got inf"),
    (edit("0.100000", "much"), "could not convert string to float"),
    (edit("false", "no"), "expected true or false, got no"),
    (edit(",bolt,0.8", ",dart,0.8"), "dart has no probability column"),
    (lambda text: text[:-20], "has another length"),
    (lambda text: re.sub(",p_[a-z]+", "", text), "no column p_…"),
    (edit("asta", "a\0sta"), "cannot be used"),
]


@pytest.mark.parametrize(("change", "said"), BAD_PREDICTIONS)
def test_predictions_that_cannot_be_right_are_named_on_either_side(project, change, said):
    good = (project / PREDICTIONS).read_text()
    (project / PREDICTIONS).write_text(change(good))
    problem = refused(project)
    assert problem.startswith("artifacts/evaluate/predictions.csv here cannot be used")
    assert said in problem
    commit(project)
    (project / PREDICTIONS).write_text(good)
    problem = refused(project)
    assert problem.startswith("artifacts/evaluate/predictions.csv in main (")
    assert said in problem


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"high"', "null", "[1]"])
def test_a_metric_that_is_not_finite_is_refused_on_either_side(project, value):
    good = (project / METRICS).read_text()
    (project / METRICS).write_text(re.sub(r'"f1": [\d.]+', f'"f1": {value}', good, count=1))
    assert "f1 is " in refused(project)
    commit(project)
    (project / METRICS).write_text(good)
    assert refused(project).startswith("artifacts/evaluate/metrics.json in main (")


def test_predictions_that_are_missing_are_told_with_the_way_to_get_them(project):
    (project / PREDICTIONS).unlink()
    said = "artifacts/evaluate/predictions.csv does not exist here. Run `make repro`."
    assert refused(project) == said
    commit(project)
    write_side(project, make_photos())
    assert "does not exist in main (" in refused(project)


def test_it_says_which_model_ships_and_draws_the_curve_of_that_one(project):
    text = as_text(judged(project))
    frozen = "The frozen backbone's head ships: fine-tuning is off (finetune.epochs: 0)."
    assert [line.split("  ")[-1].strip() for line in text.splitlines() if " model  " in line] == [
        *(frozen, frozen),
    ]
    write_metrics(project / FILES.tuning, TUNED)
    write_history(project / FILES.tuning_history, TUNING_HISTORY)
    lock_side(project)
    tuned = "The tuned network ships: it named 57 of 60 held-out photos correctly, the frozen one"
    assert f"new model    {tuned} 52 (log loss 0.188 and 0.432)." in as_text(judged(project))
    page = as_markdown(judged(project))
    assert "- New model: The tuned network ships: it named 57 of 60" in page
    assert f"{TUNING_HISTORY[0].val_accuracy:.4f}" in page


def test_without_metrics_and_history_there_is_still_a_verdict(project):
    (project / METRICS).unlink()
    (project / FILES.history).unlink()
    (project / FILES.tuning).unlink()
    lock_side(project)
    page = as_markdown(judged(project))
    assert page.startswith("## Gate: promote")
    assert "log loss" not in page
    assert page.count("mermaid") == 1  # the old one's


# --- revisions


def test_without_a_revision_the_first_main_branch_there_is_is_taken(project):
    assert judged(project).revision.name == "main"
    for branch, known_as in (
        ("refs/remotes/origin/main", "origin/main"),
        ("refs/heads/master", "master"),
        ("refs/remotes/origin/master", "origin/master"),
    ):
        git(project, "update-ref", branch, "HEAD")
        git(project, "checkout", "-q", "--detach")
        for name in ("refs/heads/main", "refs/remotes/origin/main", "refs/heads/master"):
            if name != branch:
                git(project, "update-ref", "-d", name)
        assert judged(project).revision.name == known_as
    git(project, "update-ref", "-d", "refs/remotes/origin/master")
    assert "There is no branch main, origin/main, master or origin/master" in refused(project)


def test_a_tag_named_main_is_not_the_main_branch(project):
    write_side(project, make_photos(wrong=30))
    commit(project)
    git(project, "tag", "main", "HEAD~1")
    assert judged(project).evidence.old_correct == 90


@pytest.mark.parametrize("name", ["HEAD", "HEAD~0", "v1", "odd name", "v$(touch gone)"])
def test_whatever_names_a_commit_will_do(project, name):
    if not name.startswith("HEAD"):
        name = name.replace(" ", "\u00a0").replace("(touch\u00a0gone)", "{x}(y)")
        git(project, "tag", "-a", "-m", "one", name)
    assert judged(project, name).verdict is Verdict.PROMOTE


@pytest.mark.parametrize(
    "name",
    [
        *("nothing", "", "-x", "--output=gone", "--git-dir=/tmp", "main..main", "^main", "main:"),
        *("a\nb", "a\0b", "HEAD:artifacts", "$(touch gone)", "main^{tree}", "é\udcff"),
    ],
)
def test_what_names_no_commit_is_one_line_and_no_option(project, name):
    before = sorted(project.rglob("*"))
    assert "is not a commit or experiment of this repository" in refused(project, name)
    assert sorted(project.rglob("*")) == before


def test_outside_of_git_it_is_one_line(project):
    shutil.rmtree(project / ".git")
    result = gate(project, env={"GIT_CEILING_DIRECTORIES": str(project.parent)})
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "is not in a readable Git repository" in result.stderr


def test_an_empty_repository_has_no_branch(project):
    shutil.rmtree(project / ".git")
    git(project, "init", "-q", "-b", "main")
    assert "There is no branch" in refused(project)


def test_the_project_may_be_a_folder_of_its_repository(project, tmp_path):
    inner = tmp_path / "outer" / "ein projekt"
    shutil.copytree(project, inner, ignore=shutil.ignore_patterns(".git"))
    git(inner.parent, "init", "-q", "-b", "main")
    commit(inner.parent)
    write_side(inner, make_photos())
    assert judged(inner).evidence.gained == 8


def test_git_shows_its_own_bytes_whatever_it_is_configured_to_show(project):
    (project / ".gitattributes").write_text("*.csv diff=loud filter=loud ident\n*.json diff=loud\n")
    for key in ("diff.loud.textconv", "filter.loud.smudge", "diff.external", "core.pager"):
        git(project, "config", key, "echo LOUD")
    git(project, "config", "color.ui", "always")
    write_side(project, make_photos())
    assert judged(project).evidence.gained == 8


def test_nothing_in_the_repository_is_touched(project):
    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in project.rglob("*") if path.is_file()}

    before = state()
    judged(project)
    assert state() == before


# --- answers


def test_json_is_one_object_with_the_same_keys_and_finite_numbers(project):
    def keys(value: object) -> object:
        if isinstance(value, dict):
            return {key: keys(inner) for key, inner in value.items()}
        return None

    def load(comparison: Comparison) -> dict:
        return json.loads(as_json(comparison), parse_constant=pytest.fail)

    same = load(judged(project))
    write_side(project, make_photos(wrong=20))
    other = load(judged(project))
    assert keys(same) == keys(other)
    assert (same["verdict"], other["verdict"]) == ("promote", "reject")
    assert other["right_in_old_only"] == len(other["changed"]) == 12
    assert other["old"]["accuracy"] == pytest.approx(112 / 120, abs=1e-4)
    assert other["brands"]["asta"] == {
        **{"support": 40, "old_right": 32, "new_right": 20},
        **{"below_floor": False, "too_few": False},
    }
    assert other["difference"]["low"] < other["difference"]["accuracy"] == -0.1
    assert other["against"]["commit"] == git(project, "rev-parse", "main").strip()


def test_the_page_has_the_metrics_of_both_sides_and_what_changed(project):
    write_side(project, make_photos(wrong=6, right_from=4))
    page = as_markdown(judged(project))
    assert "| accuracy (95 % interval) | 93.3 % (87.4–96.6 %) | 95.0 % (89.5–97.7 %) | +1.7 |" in (
        page.replace("\u00a0", " ")
    )
    for metric in ("macro F1", "log loss", "calibration error", "accuracy, copies counted too"):
        assert f"| {metric} |" in page
    assert "recall of <code>asta</code> (40 photos) |" in page
    rows = re.findall(r"^\| <code>(\S+)</code> .*<code>(\w+)</code> \|$", page, re.MULTILINE)
    # Lost photos first.
    assert rows == [
        *((f"Datasets/test/asta/00{number}.jpg", "bolt") for number in (8, 9)),
        *((f"Datasets/test/asta/00{number}.jpg", "asta") for number in (0, 1, 2, 3)),
    ]


def test_the_page_shows_twenty_changed_photos_and_counts_the_rest(project):
    write_side(project, make_photos(wrong=35))
    page = as_markdown(judged(project, floor=0.0))
    assert page.count("/asta/0") == 20
    assert "7 more such photos." in page


def test_names_cannot_break_the_page(project):
    odd = "Datasets/test/a|b`c`\n<img src=x>@someone *x* _y_ [z](http://q) #1 www.w.org\udcff"
    brands = ("asta", "b|<b>`\n", "@cirro")
    for wrong in (0, 3):
        photos = make_photos(4, wrong=wrong, brands=brands)
        photos[0] = replace(photos[0], path=odd)
        write_side(project, photos, brands=brands)
        if not wrong:
            commit(project)
    comparison = judged(project)
    assert "@cirro (4)" in comparison.reasons[1]
    page = as_markdown(comparison)
    assert "<code>Datasets/test/a&#124;b&#96;c&#96; &#60;img" in page
    for table in re.findall(r"(?:^\|.*\|$\n?)+", page, re.MULTILINE):
        lines = table.splitlines()
        assert {line.count("|") for line in lines} == {lines[0].count("|")}
    for harm in ("<img", "<b>", "@", "[z]", "*x*", "_y_", "www.w", "://", "#1 "):
        assert harm not in page.replace("&#", "")
    assert "`" not in page.split("```mermaid")[0]
    assert as_text(comparison).count("\n") == 9
    assert odd in [change["path"] for change in json.loads(as_json(comparison))["changed"]]


def test_curves_of_as_many_epochs_share_a_chart_and_others_get_their_own(project):
    page = as_markdown(judged(project))
    assert page.count("xychart-beta") == 1
    assert page.count("    line [0.8100, 0.8200, 0.8300, 0.8400]") == 2
    write_side(project, make_photos(), epochs=200)
    page = as_markdown(judged(project))
    assert page.count("xychart-beta") == 2
    assert '"epoch" 1 --> 4\n' in page
    assert '"epoch" 1 --> 200\n' in page
    longest = max(re.findall(r"line \[(.*)\]", page), key=len).split(", ")
    assert len(longest) == 60
    assert (longest[0], longest[-1]) == ("0.8100", "2.8000")


def test_many_brands_and_photos_fit_into_a_comment(project):
    brands = tuple(f"brand {number:03} {'x' * 60}" for number in range(200))
    write_side(project, make_photos(5, brands=brands), brands=brands)
    commit(project)
    write_side(project, make_photos(5, wrong=2, brands=brands), brands=brands)
    comparison = judged(project)
    assert comparison.verdict is Verdict.PROMOTE
    assert len(as_markdown(comparison)) < 65_536
    assert "170 more brands" in as_markdown(comparison)
    assert "190 more brands" in as_text(comparison)


# --- the ledger


def test_one_verdict_is_what_a_gate_of_one_verdict_gives_and_then_says_what_to_do(project):
    ledger = project / FILES.ledger
    write_side(project, make_photos(wrong=10))
    assert gate_here(project, "--no-ledger")[0] == 3
    assert not ledger.exists()
    code, said, _ = gate_here(project)
    assert code == 3
    assert "this cost one verdict, 0 of 1 verdicts are left" in said
    kept = ledger.read_bytes()
    assert gate_here(project)[1] == said.replace("cost one verdict", "cost nothing")
    # A model that would pass by itself: luck, perhaps, of somebody who tried until one did.
    write_side(project, make_photos(wrong=8))
    assert gate_here(project, "--no-ledger")[0] == 0
    code, said, _ = gate_here(project)
    assert code == 3
    first, *_ = said.splitlines()
    assert first == (
        "not enough evidence: These test photos have given 1 verdicts without a promotion "
        "(gate.verdicts), so they can show nothing more: add 120 fresh leak-free test photos, with "
        "which the count starts again, or decide by hand (`carbrand promote --accept`)."
    )
    assert ledger.read_bytes() == kept
    said = json.loads(gate_here(project, "--json")[1])
    assert said["ledger"] == {
        **{"level": 0.0, "verdicts": 1, "verdicts_left": 0},
        "fresh_photos_needed": 120,
    }
    assert "Ledger: this cost nothing, 0 of 1 verdicts" in gate_here(project, "--markdown")[1]
    # A model worse than any doubt is rejected still.
    write_side(project, make_photos(wrong=30))
    assert gate_here(project)[0] == 1


def test_a_ledger_that_cannot_be_written_is_one_line(project):
    write_side(project, make_photos())
    (project / f".{FILES.ledger}.unfinished").mkdir()
    code, _, err = gate_here(project)
    assert (code, err.count("\n")) == (2, 1)
    assert "carbrand gate --no-ledger" in err


# --- a real run


def test_a_real_run_is_compared_without_any_remote_or_cache(finished):
    shutil.rmtree(finished / ".dvc" / "cache")
    (finished / "artifacts/finetune/model.h5").unlink()
    result = gate(finished)
    assert result.returncode == 3, result.stderr
    assert "Too few leak-free test photos of asta (3), bolt (3), cirro (3)" in result.stdout
    assert judged(finished).same_files
    photos, brands = read_predictions(finished / PREDICTIONS)
    assert len(photos) == judged(finished).evidence.photos == 9
    assert sorted(brands) == list(BRANDS)


@pytest.mark.skipif(os.name == "nt", reason="Git for Windows takes other paths")
def test_the_old_model_can_be_asked_about_test_photos_that_its_own_run_did_not_have(
    other_photos, finished, tmp_path
):
    change_test_photos(finished)
    lock = finished / "dvc.lock"
    before = lock.read_text("utf-8")
    (known,) = set(re.findall(r"path: Datasets/test\n.*\n\s+md5: (\w+\.dir)", before))
    lock.write_text(before.replace(known, "0" * 32 + ".dir"), "utf-8")
    assert "had other content" in refused(finished)
    lock.write_text(before, "utf-8")
    remember(finished, other_photos)
    assert run([sys.executable, "-m", "stages"], finished).returncode == 0
    assert "1 are missing in main" in refused(finished)
    answer = json.loads(gate(finished, "--remeasure", "--json").stdout)
    assert answer["remeasured"]
    assert answer["photos"] == 10
    assert answer["old"]["images"] == answer["new"]["images"] == 10
    page = gate(finished, "--markdown", "--exit-zero")
    assert page.returncode == 0
    assert page.stdout.startswith("## Gate: cannot be compared")

    # Had the old model learned from the tenth photo, it would not count.
    rows = read_manifest(finished / FILES.manifest)
    (tenth,) = (row for row in rows if row.path.endswith("cirro/new.png"))
    moved = replace(tenth, path="Datasets/train/cirro/new.png", split="train")
    write_manifest(tmp_path / "manifest.csv", [row for row in rows if row != tenth] + [moved])

    def find_file(_: str, path: Path) -> Path:
        return tmp_path / "manifest.csv" if path == FILES.manifest else finished / path

    comparison = compare_models(finished, None, PARAMS, FILES, find_file, may_remeasure=True)
    assert (len(comparison.pairs), comparison.leaked) == (9, 1)


def test_an_old_model_asked_again_about_its_own_photos_says_the_same_to_the_last_decimal(finished):
    side = read_results(finished, FILES, "here", "")
    again = remeasure(side, side, finished / "artifacts/finetune/model.h5", finished, set())
    assert again.photos == {
        path: replace(photo, series=False, pixels="", unknown=None, brand_set=())
        for path, photo in side.photos.items()
    }
    (finished / "Datasets/test/asta/000.png").unlink()
    with pytest.raises(UserError, match=r"1 test photos are missing, Datasets/test/asta/000\.png"):
        remeasure(side, side, finished / "artifacts/finetune/model.h5", finished, set())


@pytest.mark.parametrize("form", [(), ("--json",), ("--markdown",)])
def test_the_exit_status_can_be_left_out_but_not_for_a_mistake(project, form):
    write_side(project, make_photos(wrong=30))
    assert gate_here(project, *form)[0] == 1
    assert gate_here(project, *form, "--exit-zero")[0] == 0
    assert gate_here(project, *form, "--exit-zero", "--against", "nowhere")[0] == 2
