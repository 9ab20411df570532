"""Whatever lies in the folder: the right pixels or a reason, soon, and in little memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carbrand.checks.quality import measure, quality_issues
from carbrand.network.views import Augmentation, make_view
from carbrand.photos.decode.damage import find_damage
from carbrand.photos.photo import PROBLEMS, UnreadablePhoto, links_outside, open_photo
from carbrand.photos.photo import read_file as read_bytes
from carbrand.photos.resizing import RESIZE_POLICIES
from carbrand.report.drawing.thumbnail import thumbnail
from tests.support.hostile_photos import HostileFile, build_corpus, opened
from tests.support.running import in_torture


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[HostileFile]:
    return build_corpus(tmp_path_factory.mktemp("hostile") / "corpus")


def judge(file: HostileFile) -> str:
    """What is wrong with how the file was read; empty where nothing is."""
    try:
        if links_outside(file.path, file.path.parent.parent):
            raise UnreadablePhoto(file.path, "a link to a file outside the folder")
        data = read_bytes(file.path)
        photo = open_photo(file.path, data)
    except UnreadablePhoto as error:
        if error.code not in PROBLEMS or not error.reason or "\n" in str(error.reason):
            return f"said {error.code!r}: {error.reason!r}"
        return "" if error.code in file.codes else f"{error.code}: {error.reason}"
    if find_damage(data):
        return "" if "damaged" in file.codes else f"damaged: {find_damage(data)}"
    if file.codes:
        return "was read"
    return judge_pixels(file, photo)


def judge_pixels(file: HostileFile, photo: Image.Image) -> str:
    if file.size and photo.size != file.size:
        return f"size {photo.size}"
    if photo.info["oddities"] != file.oddities:
        return f"oddities {photo.info['oddities']}"
    for number, expected in enumerate(file.colours):
        x = (1 + 2 * (number % 2)) * photo.width // 4
        y = (1 + 2 * (number // 2)) * photo.height // 4
        colour = np.asarray(photo.crop((x, y, x + 1, y + 1)), dtype=int)[0, 0]
        if np.abs(colour - expected).max() > file.tolerance:
            return f"quarter {number} is {colour.tolist()}"
    return ""


def use_everywhere(photo: Image.Image, path: Path) -> None:
    """What later stages do with a photo that was let through."""
    augmentation = Augmentation(shear=0.2, zoom=0.2, crop=0.8, flip=True)
    for policy in RESIZE_POLICIES:
        for number in (0, 1):
            view = make_view(photo, number, "0" * 16, 32, policy, augmentation, seed=0)
            assert view.shape == (32, 32, 3)
            assert view.dtype == np.uint8
    assert max(thumbnail(str(path), 64).size) <= 64
    assert set(quality_issues(measure(photo))) <= {
        *("one_colour", "dark", "bright", "blurry", "low_information"),
    }


def test_the_corpus_is_large_and_varied(corpus):
    assert len(corpus) >= 400
    assert len({file.kind for file in corpus}) >= 40
    assert len({file.path for file in corpus}) == len(corpus)


def test_every_file_has_the_right_pixels_or_a_reason(corpus):
    wrong = [
        f"{f.kind}/{f.path.name!r}: {problem}" for f in opened(corpus) if (problem := judge(f))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_let_through_works_in_every_later_stage(corpus):
    for file in opened(corpus):
        if not file.codes and file.kind != "bomb":
            use_everywhere(open_photo(file.path), file.path)


@in_torture
def test_the_corpus_is_the_same_each_time(corpus, tmp_path):
    again = build_corpus(tmp_path / "corpus")
    assert [file.path.name for file in again] == [file.path.name for file in corpus]
    for first, second in zip(corpus, again, strict=True):
        if first.path.is_file() and first.path.stat().st_size < 10**8:
            assert first.path.read_bytes() == second.path.read_bytes(), first.path.name
