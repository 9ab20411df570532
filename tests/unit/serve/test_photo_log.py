"""The log of `carbrand serve --log`: bounded, whole after a kill, and no reason to stop."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from carbrand.model.observation import Observation
from carbrand.node.errors import UserError
from carbrand.serve.photo_log import FILES, PhotoLog, is_log, read_log


def observation(number: int, width: int = 64) -> Observation:
    vector = np.random.default_rng(number).normal(size=width).astype(np.float32)
    return Observation(f"t{number:05}", 300, 200, 0.5, 0.6, "asta", 0.9, None, vector)


def fill(folder: Path, numbers: range, **kwargs: int) -> PhotoLog:
    log = PhotoLog(folder, "m", **kwargs)
    for number in numbers:
        log.add(observation(number))
    return log


def names(folder: Path) -> list[str]:
    return [photo.name for photo in read_log(folder, "m").photos]


def test_what_was_logged_is_read_with_its_vector_rounded(tmp_path):
    fill(tmp_path / "log", range(3)).close()
    (first, *_), logged = (read_log(tmp_path / "log", "m").photos, observation(0))
    np.testing.assert_allclose(first.vector, logged.vector, rtol=1e-3)
    assert first.name == logged.name
    assert (first.width, first.height, first.predicted, first.confidence) == (300, 200, "asta", 0.9)
    assert first.unknown_score is None


def test_the_newest_photos_are_kept_within_the_limit(tmp_path):
    limit = 20_000
    for start in range(0, 300, 100):  # the server starts three times
        log = fill(tmp_path, range(start, start + 100), limit_bytes=limit)
        log.close()
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= limit
    kept = names(tmp_path)
    assert kept == [f"t{number:05}" for number in range(300 - len(kept), 300)]
    size = len(next(tmp_path.iterdir()).read_bytes().splitlines()[0]) + 1
    assert len(kept) >= (1 - 2 / FILES) * limit / size - FILES


def test_a_server_that_starts_again_and_again_leaves_no_heap_of_files(tmp_path):
    for number in range(12 * FILES):
        fill(tmp_path, range(number, number + 1)).close()
    assert len(list(tmp_path.iterdir())) <= 10 * FILES
    assert names(tmp_path)[-1] == f"t{12 * FILES - 1:05}"


def test_a_kill_in_the_middle_of_a_write_costs_that_photo_and_no_other(tmp_path):
    fill(tmp_path, range(3)).close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last + 1, len(whole) - 1, 7):
        path.write_bytes(whole[:end])
        fill(tmp_path, range(3, 5)).close()
        assert names(tmp_path) == ["t00000", "t00001", "t00003", "t00004"]
        assert read_log(tmp_path, "m").damaged == 1
        for other in set(tmp_path.iterdir()) - {path}:
            other.unlink()


@contextlib.contextmanager
def full_above(size: int) -> Iterator[None]:
    """No file may grow above this: the system's own error, in the middle of a line."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_nothing_can_be_written_it_says_so_once_and_goes_on(tmp_path, capsys):
    log = fill(tmp_path, range(2))
    (path,) = tmp_path.iterdir()
    with full_above(path.stat().st_size + 50):
        for number in range(2, 6):
            log.add(observation(number))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be written" in said
    log.add(observation(6))
    assert names(tmp_path) == ["t00000", "t00001", "t00006"]
    assert read_log(tmp_path, "m").damaged == 0


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_may_not_be_written_to_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="--log"):
        PhotoLog(tmp_path / "log", "m")
    tmp_path.chmod(0o700)


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "log").write_text("")
    with pytest.raises(UserError, match="--log"):
        PhotoLog(tmp_path / "log", "m")


def test_photos_of_another_model_are_counted_and_left_out(tmp_path):
    fill(tmp_path, range(3)).close()
    other = PhotoLog(tmp_path, "n")
    other.add(observation(9))
    log = read_log(tmp_path, "m")
    assert (len(log.photos), log.other) == (3, 1)


def test_nobody_else_may_read_it_and_a_folder_of_photos_is_no_log(tmp_path):
    assert not is_log(tmp_path)
    fill(tmp_path / "log", range(1))
    assert is_log(tmp_path / "log")
    if sys.platform != "win32":
        assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "log").iterdir())
