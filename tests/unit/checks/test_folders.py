"""What is odd about folders is told, and only that."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from carbrand.checks.brand_names import check_brand_names, normalize_name
from carbrand.checks.splits import FolderLimits, check_splits, wilson_half_width
from carbrand.photos.folders.folder_findings import (
    FOLDER_CODES,
    FOLDER_SEVERITIES,
    FolderFinding,
    error_lines,
    excluded_brands,
    rate_findings,
)
from carbrand.photos.manifest import Row
from carbrand.scores.evaluation import wilson_interval

FOLDERS = {"train": Path("Datasets/train"), "test": Path("Datasets/test")}
LIMITS = FolderLimits(min_train_photos=10, min_test_photos=10, max_imbalance=5.0, max_drift=0.3)
STRICT = {code: allowed[0] for code, allowed in FOLDER_SEVERITIES.items()}
WARN = dict.fromkeys(FOLDER_CODES, "warn")

Photo = partial(Row, "", width=800, height=600, brightness=0.5, sharpness=100.0)


def photos(**counts: int) -> list[Row]:
    """So many photos of each: `train_asta=20`."""
    rows = []
    for name, count in counts.items():
        split, brand = name.split("_")
        rows += [Photo(split, brand)] * count
    return rows


def compare(rows: list[Row], limits: FolderLimits = LIMITS) -> list[FolderFinding]:
    return check_splits(rows, sorted({row.brand for row in rows}), FOLDERS, limits)


def names(train: list[str], test: list[str]) -> list[FolderFinding]:
    return check_brand_names({"train": train, "test": test}, FOLDERS)


def varied(train: int, test: int, seed: int = 0) -> list[Row]:
    """Photos as folders have them: many sizes, shapes and lights, the same in both splits."""
    dice = np.random.default_rng(seed)
    return [
        Photo(
            "train" if number < train else "test",
            "asta" if number % 2 else "bolt",
            width=int(width := np.exp(dice.normal(7, 0.4))),
            height=int(width / dice.choice([0.75, 1.0, 1.33, 1.5])),
            brightness=float(dice.beta(4, 5)),
            sharpness=float(np.exp(dice.normal(6, 0.8))),
        )
        for number in range(train + test)
    ]


def test_the_same_brands_in_both_splits_are_no_finding():
    assert names(["asta", "bolt"], ["asta", "bolt"]) == []


@pytest.mark.parametrize(("lacking", "other"), [("train", "test"), ("test", "train")])
def test_a_brand_in_one_split_only_is_found(lacking, other):
    brands = {lacking: ["asta"], other: ["asta", "bolt"]}
    (finding,) = check_brand_names(brands, FOLDERS)
    assert (finding.code, finding.folder) == ("missing_brand", f"Datasets/{other}/bolt")
    assert finding.message == (
        f"Datasets/{lacking}/bolt does not exist, but the brand `bolt` is in Datasets/{other}. "
        f"Add its photos, or remove Datasets/{other}/bolt."
    )


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ("Audi", "audi", "upper and lower case"),
        ("STRASSE", "straße", "upper and lower case"),
        (unicodedata.normalize("NFC", "škoda"), unicodedata.normalize("NFD", "škoda"), "how an"),
        ("audi ", "audi", "spaces"),
        ("alfa  romeo", "alfa romeo", "spaces"),
        ("mercedes-benz", "mercedes_benz", "spaces, dashes or dots"),
        ("mercedes benz", "mercedesbenz", "spaces, dashes or dots"),
        ("citroën", "citroen", "accents"),
        ("Mercedes Benz", "mercedes-benz", "case, accents, spaces or dashes"),
        ("Škoda", "skoda_", "case, accents, spaces or dashes"),
        ("c 3", "c3", "spaces, dashes or dots"),
        ("1.5", "1-5", "spaces, dashes or dots"),
    ],
)
def test_names_that_differ_in_spelling_only_are_found(one, other, difference):
    (finding,) = [f for f in names([one], [other]) if f.code == "similar_names"]
    assert f"differ only in {difference}" in finding.message
    (finding,) = names([one, other], [one, other])  # also inside a split
    assert finding.code == "similar_names"
    assert finding.message.count("Datasets/") == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *[("audi", "audi q5"), ("a4", "a5"), ("1.1", "11"), ("1 1", "11"), ("-5", "5")],
        *[("A-", "A"), ("A+", "A"), ("C", "C++"), ("C#", "C"), ("мой", "мои"), ("が", "か")],
        *[("की", "के"), ("asta", "atsa"), ("911 s", "911")],
    ],
)
def test_names_that_mean_something_else_are_left_alone(one, other):
    assert normalize_name(one) != normalize_name(other)
    assert names([one, other], [one, other]) == []


def test_more_than_two_spellings_are_one_finding():
    (finding,) = [f for f in names(["AUDI", "Audi"], ["audi"]) if f.code == "similar_names"]
    assert finding.message == (
        "Datasets/train/AUDI, Datasets/train/Audi and Datasets/test/audi look like the same brand: "
        "the names differ only in upper and lower case. Give them one name."
    )


def test_findings_do_not_depend_on_the_order_of_the_folders():
    train, test = ["b", "A", "a", "é", "ß"], ["x", "E", "SS", "é"]
    assert names(train, test) == names(train[::-1], test[::-1])


def test_a_brand_missing_by_its_spelling_is_told_once_where_that_is_an_error():
    findings = names(["Audi", "bolt"], ["audi"])
    judged = rate_findings(findings, STRICT)
    assert [(f.code, f.brand) for f in judged] == [("missing_brand", "bolt"), ("similar_names", "")]
    assert len(error_lines(judged)) == 2
    judged = rate_findings(findings, STRICT | {"similar_names": "warn"})
    assert [f.code for f in judged] == ["missing_brand"] * 3 + ["similar_names"]
    assert len(error_lines(judged)) == 3


def test_a_missing_brand_can_be_left_out():
    findings = names(["asta", "bolt", "cirro"], ["asta", "delta"])
    judged = rate_findings(findings, STRICT | {"missing_brand": "exclude"})
    assert excluded_brands(judged) == {"bolt", "cirro", "delta"}
    assert error_lines(judged) == []
    assert excluded_brands(rate_findings(findings, STRICT)) == set()


@pytest.mark.parametrize("code", FOLDER_CODES)
def test_every_severity_does_what_it_says(code):
    finding = FolderFinding(code, "Datasets/train", "Something is odd. Mend it.", "asta")
    for severity in FOLDER_SEVERITIES[code]:
        judged = rate_findings([finding], STRICT | {code: severity})
        assert [f.severity for f in judged] == ([] if severity == "ignore" else [severity])
        assert excluded_brands(judged) == ({"asta"} if severity == "exclude" else set())
        way_out = "exclude" if code == "missing_brand" else "warn"
        line = f"Something is odd. Mend it, or set validate.{code}: {way_out}."
        assert error_lines(judged) == ([line] if severity == "error" else [])


def test_findings_are_in_the_order_of_their_codes():
    findings = [FolderFinding(code, "x", "y.") for code in FOLDER_CODES]
    assert [f.code for f in rate_findings(findings[::-1], WARN)] == list(FOLDER_CODES)


def test_full_and_even_folders_are_no_finding():
    assert compare(photos(train_asta=10, train_bolt=10, test_asta=10, test_bolt=10)) == []


def test_too_few_photos_are_found_in_either_split():
    rows = photos(train_asta=9, train_bolt=10, test_asta=10, test_bolt=9)
    assert [(f.code, f.folder) for f in compare(rows)] == [
        ("few_photos", "Datasets/train/asta"),
        ("few_photos", "Datasets/test/bolt"),
    ]
    assert "9 photos to train on, expected at least 10" in compare(rows)[0].message
    assert "measured only to ±27 percentage points" in compare(rows)[1].message
    assert compare(rows, replace(LIMITS, min_train_photos=9, min_test_photos=9)) == []


def test_photos_that_are_not_kept_do_not_count():
    rows = photos(train_asta=20, train_bolt=20, test_asta=20, test_bolt=20)
    rows = [
        replace(row, status="excluded") if (row.split, row.brand) == ("test", "asta") else row
        for row in rows
    ]
    (finding,) = compare(rows)
    assert "test/asta holds no photo to test on" in finding.message


def test_brands_that_are_left_out_are_not_looked_at():
    rows = photos(train_asta=20, test_asta=20, train_cirro=20, test_cirro=20)
    rows += [Photo("train", "bolt", width=99, height=99)] * 99  # would be drift
    assert check_splits(rows, ["asta", "cirro"], FOLDERS, LIMITS) == []


def test_the_width_in_words_is_that_of_the_interval():
    for n in (2, 10, 38, 1000):
        low, high = wilson_interval(n // 2, n)
        assert wilson_half_width(n) == pytest.approx((high - low) / 2)


def test_imbalance_begins_beyond_its_ratio():
    even = photos(test_asta=20, test_bolt=20)

    def found(limit: float, largest: int) -> list[FolderFinding]:
        rows = photos(train_asta=largest, train_bolt=10) + even
        findings = compare(rows, replace(LIMITS, max_imbalance=limit))
        return [finding for finding in findings if finding.code == "imbalance"]

    assert found(5.0, 50) == []
    assert found(5.1, 51) == []
    (finding,) = found(5.0, 51)
    assert finding.folder == "Datasets/train"
    assert "`asta` has 51 photos, `bolt` 10, more than 5 to 1" in finding.message


def test_of_many_small_brands_the_smallest_are_named():
    brands = {f"{split}_small{n}": 10 + n for split in ("train", "test") for n in range(9)}
    findings = compare(photos(train_zeta=100, test_zeta=100, **brands))
    assert [f.folder for f in findings] == ["Datasets/train", "Datasets/test"]
    assert "`small0` 10, `small1` 11, `small2` 12 and 6 more under 20" in findings[0].message


def test_another_mix_of_brands_is_drift():
    rows = photos(train_asta=50, train_bolt=50, test_asta=45, test_bolt=10)
    (finding,) = compare(rows)
    assert (finding.code, finding.folder) == ("drift", "Datasets/test")
    assert "`asta` is 82 % of its photos, there 50 %" in finding.message
    assert compare(rows, replace(LIMITS, max_drift=0.32)) == []
    # As uneven, but so few that chance may have done it.
    few = photos(train_asta=12, train_bolt=12, test_asta=12, test_bolt=2)
    assert compare(few, replace(LIMITS, min_test_photos=1, max_imbalance=9.0)) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: replace(p, width=p.width // 3, height=p.height // 3), "smaller"),
        (lambda p: replace(p, width=p.width * 3, height=p.height * 3), "larger"),
        (lambda p: replace(p, width=p.width // 2, height=p.height * 2), "narrower"),
        (lambda p: replace(p, width=p.width * 2, height=p.height // 2), "wider"),
        (lambda p: replace(p, brightness=p.brightness / 2), "darker"),
        (lambda p: replace(p, brightness=p.brightness * 2), "brighter"),
        (lambda p: replace(p, sharpness=p.sharpness / 9), "less sharp"),
        (lambda p: replace(p, sharpness=p.sharpness * 9), "sharper"),
    ],
)
def test_test_photos_unlike_the_training_photos_are_drift(change, word):
    rows = [change(row) if row.split == "test" else row for row in varied(100, 40)]
    (finding,) = compare(rows)
    assert (finding.code, finding.folder) == ("drift", "Datasets/test")
    assert f"looks unlike Datasets/train: its photos are {word}. " in finding.message


def test_drift_is_said_in_numbers():
    rows = [*photos(train_asta=30, train_bolt=30), *photos(test_asta=15, test_bolt=15)]
    rows = [replace(r, width=300, height=225) if r.split == "test" else r for r in rows]
    (finding,) = compare(rows)
    assert "100 % of them have at most 0.1 megapixels, there 0 %" in finding.message
    assert "the medians are 0.068 and 0.48" in finding.message


def test_drift_begins_beyond_its_share():
    rows = varied(60, 0)[:60] + [replace(p, split="test") for p in varied(60, 0)]
    dark = [replace(p, brightness=0.0) if 60 <= i < 84 else p for i, p in enumerate(rows)]
    assert [f.code for f in compare(dark)] == ["drift"]
    assert compare(dark, replace(LIMITS, max_drift=0.4)) == []


def test_sizes_that_differ_by_a_hair_are_no_drift():
    rows = photos(train_asta=100, train_bolt=100, test_asta=100, test_bolt=100)
    assert compare([nudged(row) if row.split == "test" else row for row in rows]) == []


def nudged(row: Row) -> Row:
    return replace(row, width=840, height=623, brightness=0.53, sharpness=130.0)


def test_a_handful_of_odd_photos_is_chance():
    rows = [replace(r, brightness=0.01) if r.split == "test" else r for r in varied(6, 3)]
    assert [f for f in compare(rows) if f.code == "drift"] == []


def test_one_folder_dealt_out_at_random_has_no_drift():
    for seed in range(100):
        assert [f for f in compare(varied(60, 40, seed)) if f.code == "drift"] == []


def test_findings_do_not_depend_on_the_order_of_the_rows():
    rows = [replace(r, width=90) if r.split == "test" else r for r in varied(80, 9)]
    assert compare(rows) == compare(rows[::-1])
    assert len(compare(rows)) > 1


def test_without_photos_there_is_nothing_to_compare():
    assert [f.code for f in check_splits([], ["asta"], FOLDERS, LIMITS)] == ["few_photos"] * 2
