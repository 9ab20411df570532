"""Names that Windows or macOS cannot hold are told before somebody clones there."""

from __future__ import annotations

import unicodedata

import pytest

from carbrand.checks.layout import STRICT, check_layout, find_dataset
from carbrand.checks.portable_names import find_unportable
from tests.conftest import draw_dataset


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a/CON.jpg", "a device"), ("a/nul", "a device"), ("a/com1.tar.jpg", "a device"),
        ("Aux/1.jpg", "a device"), ("a/LPT¹.jpg", "a device"), ("a/con .jpg", "a device"),
        ("a/a:b.jpg", ": is not allowed"), ("a/b?.jpg", "? is not"), ("a/back\\slash.jpg", "\\ is"),
        ('a/"b".jpg', '" is'), ("a<b/1.jpg", "< is"), ("a/x\n.jpg", "control characters"),
        ("a/dot.", "drops a dot"), ("space /1.jpg", "drops a dot or space"),
        ("a/" + "é" * 130 + ".jpg", "longer than 255 bytes"), ("a/" * 100 + "1.jpg", "too long"),
    ],
)  # fmt: skip
def test_a_name_that_another_system_cannot_hold_is_told(path, why):
    (said,) = find_unportable([path.split("/")])
    assert said.startswith(path)
    assert why in said


@pytest.mark.parametrize("path", ["a/b.jpg", "a/CONSOLE.jpg", "a/.con", "日本/é.jpg", "a/-=@.png"])
def test_other_names_are_fine(path):
    assert find_unportable([path.split("/")]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/A.JPG", "a/a.jpg"),
        ("A/1.jpg", "a/1.jpg"),
        (unicodedata.normalize("NFC", "a/é.jpg"), unicodedata.normalize("NFD", "a/é.jpg")),
        ("a/straße.jpg", "a/STRASSE.jpg"),
    ],
)
def test_two_names_that_are_one_elsewhere_are_told_once(one, other):
    (said,) = find_unportable([one.split("/"), other.split("/"), ["b", "1.jpg"]])
    assert "the same as" in said


def test_it_is_a_finding_about_the_folder_and_may_be_an_error(tmp_path):
    draw_dataset(tmp_path)
    folders = {"train": tmp_path / "train", "test": tmp_path / "test"}
    for name in ("A.PNG", "a.png", "CON.png", ".a:b"):
        (tmp_path / "train" / "asta" / name).touch()
    (finding,) = find_dataset(folders, STRICT).findings
    assert finding.code == "unportable_name"
    assert "asta/CON.png (a device on Windows), asta/a.png (the same as asta/A.PNG" in (
        finding.message
    )
    (line,) = check_layout(folders, STRICT | {"unportable_name": "error"})
    assert line.endswith("Rename them, or set validate.unportable_name: warn.")
    assert check_layout(folders, STRICT | {"unportable_name": "ignore"}) == []
