"""Values of params.yaml are those that DVC records in dvc.lock, however they are spelt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency.param import read_param_file
from dvc.utils.serialize import dumps_yaml, load_yaml, loads_yaml, modify_yaml
from dvc_objects.fs.local import LocalFileSystem

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_yaml import NotYaml, parse_yaml
from carbrand.node.params import knob, read_section
from tests.conftest import ROOT

# A spelling for each rule of YAML 1.1 or 1.2, of Python or of a spreadsheet that could apply.
SPELLINGS = (
    *("64", "+64", "-0", "-3", "0100", "08", "00", "+0100", "0o100", "0o8", "0x40", "0xFF_FF"),
    *("0b11", "1_000", "1__0", "0_", "+_", "0x_", "0o_", "1:30", "12:30:45", "1,000", "0,5"),
    *("1e-05", "1e-4", "1E5", "1e5", "1e05", "1.e5", "1_e5", "1e", "0e0", "1e400", "-1e-5", "1d5"),
    *("0.5", ".5", "5.", "+.5", "-.5", "._5", "0.1_0", "1_0.5", "0.5f", "1/2", "50%", "½"),
    *(".inf", "-.inf", "+.Inf", ".nan", ".NaN", "inf", "nan", "Infinity"),
    *("true", "True", "TRUE", "tRUE", "yes", "Yes", "no", "NO", "on", "off", "y", "n", "t"),
    *("null", "Null", "~", "", "None", "none", "=", "<<"),
    *("'64'", '"0.5"', "'true'", "'yes'", "!!int '64'", "!!float 1", "!!str 64", "!!bool 'true'"),
    *("!!bool x", "!!int x", "!!float x", "!own 3", "!!binary MQ==", "!!timestamp 2024-01-01"),
    *("2024-01-01", "2024-13-45", "2001-12-14t21:59:43.10-05:00", "12:00"),
    *("&a 64", "*other", "*none", "[64]", "{a: 1}", "&a [*a]", "- 64", "64 # a comment", "64#5"),
    *("|\n    64", ">-\n    0.5", "6\n    4", "'a\\0'", '"\\x36\\x34"', "\u0666", "\uff16"),
    *("9007199254740993", "1" + "0" * 400, "9" * 5000, "0x" + "f" * 5000, "1e16", "123456.7e-3"),
    *("fast", "@home", "`x`", "%x", "a: b", "'unclosed", "[", "\tx", "é", "64\n  key: 65"),
    *("64\n  <<: {key: 65}", "64\n  'key': 65", "64\n...\n", "64\n---\n  x: 1", "64\n=======\n"),
)  # fmt: skip


@dataclass(frozen=True)
class Number:
    key: float = knob(low=-100)
    other: int = knob(low=0)


@dataclass(frozen=True)
class Whole:
    key: int = knob(low=-100)
    other: int = knob(low=0)


@dataclass(frozen=True)
class Flag:
    key: bool = knob()
    other: int = knob(low=0)


@dataclass(frozen=True)
class Text:
    key: str = knob()
    other: int = knob(low=0)


def recorded(file: Path) -> Any:
    """What DVC reads again from the dvc.lock into which it wrote the parameter."""
    read = read_param_file(LocalFileSystem(), str(file), ["train.key"], flatten=True)
    return loads_yaml(dumps_yaml(read))["train.key"]


@pytest.mark.parametrize("section", [Number, Whole, Flag, Text])
@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling[:20])
def test_a_value_is_the_one_that_dvc_records_or_one_line_that_names_the_key(
    spelling, section, tmp_path
):
    file = tmp_path / "params.yaml"
    file.write_text(f"train:\n  other: &other 5\n  key: {spelling}\n", "utf-8")
    try:
        used = read_section(file, "train", section).key
    except UserError as error:
        (problem,) = error.problems
        assert "\n" not in problem
        assert "`train.key" in problem or "(line " in problem or "train.<<" in problem, problem
        return
    assert used == recorded(file)
    assert isinstance(used, bool) == isinstance(recorded(file), bool)


@pytest.mark.parametrize("value", [0.00001, 0.0001, 1e22, 3, True, "yes", "1e-05", None])
def test_what_dvc_exp_run_writes_is_read_as_what_was_asked_for(value, tmp_path):
    """`dvc exp run -S` writes params.yaml by this function."""
    file = tmp_path / "params.yaml"
    file.write_bytes((ROOT / "params.yaml").read_bytes())
    with modify_yaml(file) as params:
        params["train"]["l2"] = value
    assert parse_yaml(file.read_text("utf-8"))["train"]["l2"] == value


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "dvc.lock", ".github/dependabot.yml"])
def test_files_of_the_project_are_read_as_dvc_reads_them(name):
    assert parse_yaml((ROOT / name).read_text("utf-8")) == load_yaml(ROOT / name)


@pytest.mark.parametrize("head", ["%YAML 1.1\n---\n", "\ufeff", "---\n"])
def test_what_stands_before_the_sections_is_no_matter(head, tmp_path):
    file = tmp_path / "params.yaml"
    for spelling in ("0100", "1e-05", "1_0", "0b11"):
        file.write_text(f"{head}train: {{key: {spelling}, other: 1}}\n", "utf-8")
        assert read_section(file, "train", Number).key == recorded(file)


def test_merge_keys_and_anchors_are_followed(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("base: &b {key: 1e-4, other: 7}\ntrain: {other: 8, <<: *b}\n")
    assert read_section(file, "train", Number) == Number(key=0.0001, other=8)
    assert recorded(file) == 0.0001


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: [", 1, ""),
        (
            "a: 1\nb: {x: 1}\n'a': {}\n",
            3,
            "`a` is defined 2 times: `1` (line 1) and line 3. Keep one",
        ),
        (
            "t: {<<: {a: 1}, <<: {a: 2}}",
            1,
            "`t.<<` is defined 2 times: line 1 and line 1. Keep one",
        ),
        ("\0", None, ""),
        # The same key in other letters, in what an anchor holds, and as a list.
        ("1: a\n0x1: b\n", 2, "`0x1` is defined 2 times: `a` (line 1) and `b` (line 2). Keep one"),
        ("t: {~: a, null: b}", 1, "`t.null` is defined 2 times: `a` (line 1) and `b` (line 1)"),
        ("b: &b {k: 1, k: 2}\nt: {<<: *b}", 1, "`b.k` is defined 2 times"),
        ("? [a, b]\n: 1\n? [a, b]\n: 2\n", 3, "`…` is defined 2 times: `1` (line 1) and `2`"),
        ("l:\n- {a: 1, a: 2}", 2, "`l[0].a` is defined 2 times"),
        ('a: "x\\nerror: no"\na: 2\n', 2, "`a` is defined 2 times: `x error: no` (line 1) and"),
        ("a: 1\nl: [1, 2024-13-45]", 2, "`l[1]: 2024-13-45` (line 2) looks like a number"),
        ("a: 1\n2024-13-45: 2\n", 2, "`2024-13-45: 2024-13-45` (line 2) looks like a number"),
        ("l: [{<<: {c: +_}}]", 1, "`l[0].<<.c: +_` (line 1) looks like a number"),
        ("a: &a {b: *a, c: +_}", 1, "`a.c: +_` (line 1) looks like a number or a date, but is"),
    ],
)
def test_what_dvc_cannot_read_is_told_with_its_line(text, line, reason):
    with pytest.raises(NotYaml) as caught:
        parse_yaml(text)
    assert caught.value.line == line
    assert caught.value.reason.startswith(reason)


def test_no_value_that_dvc_compares_with_itself_in_vain_is_taken(tmp_path):
    """Of `.nan` DVC would find at every run that it changed."""
    (tmp_path / "params.yaml").write_text("train: {key: .nan, other: 1}\n")
    assert math.isnan(recorded(tmp_path / "params.yaml"))
    with pytest.raises(UserError, match="got nan"):
        read_section(tmp_path / "params.yaml", "train", Number)
