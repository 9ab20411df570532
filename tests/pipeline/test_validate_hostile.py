"""The whole `validate` on a folder of files that ruin runs: each has a reason, or is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from carbrand.checks.inspection import Inspection
from carbrand.checks.issues import ODD, UNUSABLE
from carbrand.photos.manifest import Row, read_manifest, write_manifest
from stages import validate
from stages.validate import ValidateParams
from tests.conftest import draw_photo
from tests.support.hostile_photos import HostileFile, build_corpus

# What a file may be called instead of being read.
NAMED = (*UNUSABLE, "damaged", "hidden", "not_a_photo")
# The drawings are alike, and mostly under two brands.
LENIENT = {
    "missing_brand": "exclude",
    "similar_names": "warn",
    "label_conflict": "ignore",
    "leaked": "warn",
    "duplicate": "ignore",
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> tuple[list[HostileFile], dict[str, Row]]:
    """The corpus as `train`, two of its classes as brands of `test`, and the manifest."""
    root = tmp_path_factory.mktemp("hostile")
    corpus = build_corpus(root / "train")
    # A folder behind a link stops `validate` with a line of its own.
    (link,) = [file for file in corpus if file.path.name == "folder_link.jpg"]
    link.path.unlink()
    for brand in ("orientation", "png"):
        (root / "test" / brand).mkdir(parents=True)
        draw_photo((90, 60, 200), len(brand)).save(root / "test" / brand / "a.png")
    severities = dict.fromkeys(UNUSABLE, "exclude") | dict.fromkeys(ODD, "warn") | LENIENT
    values = {field.name: field.metadata for field in dataclasses.fields(ValidateParams)}
    numbers = {"max_megapixels": 100, "min_side_px": 32, "max_aspect": 4.0, "near_distance": 10}
    numbers |= {"min_train_photos": 1, "min_test_photos": 1, "max_imbalance": 1e9, "max_drift": 1.0}
    others = {name: "warn" for name in values if name not in severities | numbers}
    params = ValidateParams(**(severities | numbers | others))  # type: ignore[arg-type]
    found = validate.validate({"train": root / "train", "test": root / "test"}, params)
    write_manifest(root / "manifest.csv", found.rows)
    rows = {row.path: row for row in read_manifest(root / "manifest.csv")}
    return [file for file in corpus if file is not link], rows


def test_every_file_is_in_the_manifest_with_its_reason_or_its_pixels(judged):
    corpus, rows = judged
    wrong = []
    for file in corpus:
        row = rows[file.path.as_posix()]
        codes = {
            code for code in row.issues if code in (*UNUSABLE, "damaged", "hidden", "not_a_photo")
        }
        if file.codes:
            fits = len(codes) == 1 and codes <= set(file.codes)
            fits &= bool(row.reason) or codes <= {"hidden", "not_a_photo"}
        else:
            fits = not codes and len(row.pixel_sha256) == 64
            fits &= set(file.oddities) <= set(row.issues)
        if not fits:
            wrong.append(
                f"{file.kind}/{file.path.name!r}: {row.issues} {row.reason}, not {file.codes}"
            )
    assert not wrong, "\n".join(wrong)
    assert len(rows) == len(corpus) + 2


def test_nothing_that_cannot_be_read_is_kept(judged):
    _, rows = judged
    for row in rows.values():
        if row.status == "kept":
            assert row.pixel_sha256
            assert row.width > 0
            assert row.height > 0


def test_reasons_are_one_line_of_words(judged):
    _, rows = judged
    for row in rows.values():
        assert row.reason == " ".join(row.reason.split())
        assert len(row.reason) < 200


def test_what_is_said_of_a_file_can_be_handed_between_processes(judged):
    """The work is spread over processes, so everything in it must survive pickling."""
    import pickle

    _, rows = judged
    item = Inspection(next(iter(rows.values())))
    back = pickle.loads(pickle.dumps(item))
    assert (back.row, back.fingerprints) == (item.row, item.fingerprints)
    np.testing.assert_array_equal(back.windows, item.windows)


def test_links_lead_nowhere_else(judged):
    corpus, rows = judged
    outside = [file for file in corpus if file.kind == "link_outside"]
    assert outside
    for file in outside:
        row = rows[file.path.as_posix()]
        assert "unreadable" in row.issues
        assert "outside the folders" in row.reason
        assert not row.sha256, Path(row.path).name
