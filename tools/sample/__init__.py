"""A sample of photos that the project draws itself, so that a fresh clone has something to run on.

They are drawings, and each says so in its JPEG comment. The same brands, numbers and seed give the
same bytes on every run.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.progress import track
from carbrand.photos.photo import SUFFIXES
from tools.sample import outlines
from tools.sample.dice import dice
from tools.sample.recipe import choose
from tools.sample.render import render
from tools.sample.styles import STYLES

BRANDS = tuple(sorted(STYLES))
TRAIN_PHOTOS = 32
TEST_PHOTOS = 16
SEED = 1
JPEG_QUALITY = 85
JFIF_HEADER = 20  # bytes of a JPEG that come before all else, as Pillow writes them
# The comment of every drawing, followed by the SHA-256 of the file without the comment. It tells a
# drawing nobody has changed, whichever version drew it, from a photo that must not be overwritten.
SIGNATURE = b"Drawn by carbrand sample, not a photograph. sha256:"


def draw_sample(
    folder: Path,
    *,
    brands: Sequence[str] = BRANDS,
    train_photos: int = TRAIN_PHOTOS,
    test_photos: int = TEST_PHOTOS,
    seed: int = SEED,
) -> int:
    """Draw folder/train/<brand>/NNN.jpg and folder/test/<brand>/NNN.jpg; return how many photos.

    Raises UserError, before anything is written, for a brand without an emblem, and when the folder
    holds photos that are not part of this sample.
    """
    plan = _plan(brands, {"train": train_photos, "test": test_photos})
    _refuse_other_photos(folder, {folder / relative for relative in plan})
    drawn = {
        folder / relative: draw_photo(brand, split, number, seed)
        for relative, (brand, split, number) in track(plan.items(), "Drawing photos", len(plan))
    }
    for path, data in drawn.items():
        _write(path, data)
    return len(drawn)


def draw_photo(brand: str, split: str, number: int, seed: int = SEED) -> bytes:
    """One drawing as a signed JPEG file. It depends on nothing but the arguments."""
    rng = dice(seed, brand, split, number)
    picture = render(choose(brand, rng), rng)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return sign(buffer.getvalue())


def sign(jpeg: bytes) -> bytes:
    """The JPEG file with a comment, after its header, that says what it is."""
    text = SIGNATURE + hashlib.sha256(jpeg).hexdigest().encode()
    comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
    return jpeg[:JFIF_HEADER] + comment + jpeg[JFIF_HEADER:]


def is_drawing(data: bytes) -> bool:
    """Whether the file is a drawing of this module that nobody has changed since."""
    text = data[JFIF_HEADER + 4 :]
    without = data[:JFIF_HEADER] + text[len(SIGNATURE) + 64 :]
    return text.startswith(SIGNATURE) and sign(without) == data


def _plan(brands: Sequence[str], photos: dict[str, int]) -> dict[Path, tuple[str, str, int]]:
    """The relative path of every photo to draw: its brand, split and number."""
    problems = []
    for split, count in photos.items():
        if count < 1:
            problems.append(f"{count} {split} photos cannot be drawn. Ask for at least 1.")
    if not brands:
        problems.append(f"No brand to draw. Name at least one, such as {BRANDS[0]}.")
    for brand in brands:
        try:
            outlines.emblem(brand)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return {
        Path(split, brand, f"{number:03d}.jpg"): (brand, split, number)
        for split, count in photos.items()
        for brand in sorted(set(brands))
        for number in range(1, count + 1)
    }


def _refuse_other_photos(folder: Path, planned: set[Path]) -> None:
    """Raise UserError if photos in the folder are not drawings that this sample may replace."""
    others = [path for path in _files(folder) if not _may_be_replaced(path, path in planned)]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise UserError(
            f"{folder} already holds photos that are not part of this sample: {others[0]}{more}. "
            "Nothing was drawn. Name another folder, or move them away first."
        )


def _files(folder: Path) -> Iterator[Path]:
    """Everything under the splits that could be a photo, sorted."""
    for split in ("test", "train"):
        for path in sorted((folder / split).rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                yield path


def _may_be_replaced(path: Path, planned: bool) -> bool:
    try:
        return planned and path.is_file() and is_drawing(path.read_bytes())
    except OSError:  # what cannot be read cannot be known to be ours
        return False


def _write(path: Path, data: bytes) -> None:
    """Put the file there in one step; leave one alone that holds these bytes already."""
    try:
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not written in place: the path may be a link into DVC's cache.
        unfinished = path.with_name(path.name + ".part")
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}). Name another folder."
        ) from None
