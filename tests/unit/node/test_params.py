"""params.yaml is read strictly."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from carbrand.node.errors import UserError
from carbrand.node.params import (
    check_sections,
    knob,
    read_keys,
    read_section,
    require_unchanged_section,
)
from carbrand.photos.severities import CopySeverities, TrainingSeverities
from stages.__main__ import check_params
from stages.train import TrainParams
from tests.conftest import ROOT, edit_params

GOOD = {"size_px": "64", "rate": "0.5", "mode": "fast", "flip": "true"}


@dataclass(frozen=True)
class Section:
    """One field of each type."""

    size_px: int = knob(low=32, high=1024)
    rate: float = knob(low=0.0, high=1.0)
    mode: str = knob(choices=("fast", "slow"))
    flip: bool = knob()


def read(tmp_path: Path, changes: dict[str, str | None], section: str = "train") -> Section:
    values = {key: value for key, value in (GOOD | changes).items() if value is not None}
    lines = "\n".join(f"  {key}: {value}" for key, value in values.items())
    file = tmp_path / "params.yaml"
    file.write_text(f"{section}:\n{lines}\n")
    return read_section(file, "train", Section)


def test_a_right_section_becomes_a_frozen_dataclass(tmp_path):
    assert read(tmp_path, {}) == Section(size_px=64, rate=0.5, mode="fast", flip=True)


def test_a_whole_number_will_do_for_a_number(tmp_path):
    assert isinstance(read(tmp_path, {"rate": "1"}).rate, float)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sise_px": "64"}, "unknown key `train.sise_px`. Did you mean `size_px`?"),
        ({"size_px": None}, "`train.size_px` is missing"),
        ({"size_px": "'64'"}, "a whole number from 32 to 1024, got '64'"),
        ({"size_px": "64.5"}, "a whole number"),
        ({"size_px": "true"}, "a whole number from 32 to 1024, got True"),
        ({"size_px": "16"}, "from 32 to 1024, got 16"),
        ({"rate": "1.5"}, "a number from 0 to 1, got 1.5"),
        ({"rate": ".nan"}, "a number from 0 to 1, got nan"),
        ({"rate": "true"}, "a number from 0 to 1, got True"),
        ({"mode": "fats"}, "one of fast, slow, got 'fats'. Did you mean `fast`?"),
        ({"flip": "1"}, "true or false, got 1"),
        ({"flip": ""}, "got nothing"),
        ({"flip": "yes"}, "true or false, got 'yes'. Did you mean `true`?"),
        ({"flip": "OFF"}, "true or false, got 'OFF'. Did you mean `false`?"),
        ({"size_px": "'64'"}, "got '64'. Did you mean `64`, without quotes?"),
        ({"size_px": "0x" + "f" * 5000}, "got "),
        ({"size_px": "1:30"}, "a whole number from 32 to 1024, got '1:30'."),
        ({"size_px": "2024-01-01"}, "got the date 2024-01-01."),
        ({"rate": "0,5"}, "a number from 0 to 1, got '0,5'. Did you mean `0.5`, without quotes?"),
        ({"rate": "1e400"}, "a number from 0 to 1, got inf"),
        ({"rate": "+_"}, "`train.rate: +_` (line 3) looks like a number or a date, but is not"),
        ({"rate": "2024-13-45"}, "`train.rate: 2024-13-45` (line 3) looks like a number or a date"),
        ({"rate": "0.5\n  size_px: 32"}, "`train.size_px` is defined 2 times: `64` (line 2) and"),
        ({"mode": "&m [*m]"}, "one of fast, slow, got "),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(tmp_path, changes, said):
    with pytest.raises(UserError) as caught:
        read(tmp_path, changes)
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]


def test_all_problems_are_told_at_once(tmp_path):
    with pytest.raises(UserError) as caught:
        read(tmp_path, {"rate": "7", "mode": None, "colour": "red"})
    assert len(caught.value.problems) == 3


def test_a_misspelt_section_is_one_problem_that_says_which_name_is_wrong(tmp_path):
    with pytest.raises(
        UserError, match=r"`train` is missing. Rename `trian` to `train`\."
    ) as caught:
        read(tmp_path, {}, section="trian")
    assert len(caught.value.problems) == 1


def test_a_missing_section_is_not_mistaken_for_another_one_with_its_own_keys(tmp_path):
    (tmp_path / "params.yaml").write_text("validate: {dark: warn}\nplot: {dpi: 150}\n")
    with pytest.raises(UserError) as caught:
        read_section(tmp_path / "params.yaml", "evaluate", Section)
    assert "Rename" not in str(caught.value)


def test_make_repro_says_the_same_of_a_misspelt_section(committed):
    file = committed / "params.yaml"
    file.write_text(file.read_text("utf-8").replace("\ntrain:", "\ntrian:"), "utf-8")
    with pytest.raises(UserError) as caught:
        check_params(file)
    assert caught.value.problems == (
        f"{file}: the section `train` is missing. Rename `trian` to `train`.",
    )


def test_a_misspelt_key_is_one_problem(tmp_path):
    with pytest.raises(UserError) as caught:
        read(tmp_path, {"size_px": None, "sise_px": "64"})
    (problem,) = caught.value.problems
    assert problem.endswith("unknown key `train.sise_px`. Did you mean `size_px`?")


def test_an_unknown_section_names_the_nearest():
    (problem,) = check_sections({"trian": {}}, Path("params.yaml"), ("train", "plot"))
    assert "Did you mean `train`?" in problem


def test_however_deep_a_value_is_it_is_told_in_a_short_line(tmp_path):
    lists = "".join(
        f"{name}: &{name} [{', '.join([inner] * 9)}]\n"
        for name, inner in zip("abcd", ("x", "*a", "*b", "*c"), strict=True)
    )
    (tmp_path / "params.yaml").write_text(f"{lists}train: {{size_px: *d}}\n")
    with pytest.raises(UserError) as caught:
        read_section(tmp_path / "params.yaml", "train", Section)
    assert all(len(problem) < 500 for problem in caught.value.problems)


@pytest.mark.parametrize("content", ["a: [", "- 1", "", "\x00", "train: 3", "{}"])
def test_a_file_that_is_no_mapping_is_one_line(tmp_path, content):
    file = tmp_path / "params.yaml"
    file.write_text(content)
    with pytest.raises(UserError) as caught:
        read_section(file, "train", Section)
    assert len(caught.value.problems) == 1


def test_a_file_that_powershell_wrote_is_told_by_its_encoding(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("train: {size_px: 64}\n", "utf-16")
    expected = r"params\.yaml is not encoded in UTF-8, which DVC needs\. Save it as"
    with pytest.raises(UserError, match=expected):
        read_section(file, "train", Section)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_section(tmp_path / "params.yaml", "train", Section)


def test_a_section_that_changes_while_its_node_runs_is_an_error(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("train: {l2: 1}\nplot: {dpi: 1}\n")
    with require_unchanged_section(file, "train"):
        file.write_text("train: {l2: 1.0}  # a comment\nplot: {dpi: 2}\n")
    with (
        pytest.raises(UserError, match="the section `train` changed while `train` was running"),
        require_unchanged_section(file, "train"),
    ):
        file.write_text("train: {l2: 2}\nplot: {dpi: 2}\n")


def test_some_keys_of_another_section_can_be_read_and_watched(tmp_path):
    """Whatever else is in it, right or wrong, is for the node whose section it is."""
    file = tmp_path / "params.yaml"
    rules = {"label_conflict": "warn", "duplicate": "ignore"}
    file.write_text(json.dumps({"validate": rules | {"leaked": 3, "nonsense": 1}}))
    assert read_keys(file, "validate", TrainingSeverities) == TrainingSeverities(**rules)
    with pytest.raises(UserError, match=r"`validate\.leaked` must be one of error, exclude, warn"):
        read_keys(file, "validate", CopySeverities)
    with require_unchanged_section(file, "validate", TrainingSeverities):
        file.write_text(json.dumps({"validate": rules}))
    with pytest.raises(UserError, match=r"`validate\.leaked` is missing"):
        read_keys(file, "validate", CopySeverities)
    with (
        pytest.raises(UserError, match="`validate` changed while a node that uses it was running"),
        require_unchanged_section(file, "validate", TrainingSeverities),
    ):
        file.write_text(json.dumps({"validate": rules | {"duplicate": "warn"}}))
    file.write_text("train: {}")
    with pytest.raises(UserError, match="the section `validate` is missing"):
        read_keys(file, "validate", CopySeverities)


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A folder with the params.yaml of the project."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("class_weight", "balance", "got 'balance'. Did you mean `balanced`?"),
        ("solver", "lbfgs", "unknown key `train.solver`"),
        ("learning_rate", 0.1, "unknown key `train.learning_rate`"),
        ("batch_size", 32, "unknown key `train.batch_size`"),
        ("epochs", 0, "got 0"),
        ("label_smoothing", 0.6, "a number from 0 to 0.5, got 0.6"),
        ("l2", -0.1, "a number from 0 to 10, got -0.1"),
    ],
)
def test_what_training_cannot_do_is_told_before_it_begins(committed, key, value, said):
    edit_params(committed, **{f"train__{key}": value})
    with pytest.raises(UserError) as caught:
        read_section(committed / "params.yaml", "train", TrainParams)
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]
